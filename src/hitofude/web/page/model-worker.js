/** A worker that runs the model by onnxruntime-web. Messages: {id, task, images} → {id, result} or {id, failure}. */

let model = null; // promises, so that a prediction waits until they are loaded
let session = null;

const TASKS = {
  model: () => model,
  open: async () => void (await session),
  predict,
};

self.onmessage = async ({ data: { id, task, images } }) => {
  try {
    model ??= readModel();
    session ??= openSession();
    session.catch(() => {}); // reported below, by the task that awaits it
    self.postMessage({ id, result: await TASKS[task](images) });
  } catch (error) {
    self.postMessage({ id, failure: String(error?.message ?? error) });
  }
};

async function readModel() {
  return (await fetched("model.json")).json();
}

async function openSession() {
  const ort = await import("./ort/ort.wasm.min.mjs");
  const [wasm, network] = await loaded(["ort/ort-wasm-simd-threaded.wasm", "model.onnx"]);
  ort.env.wasm.numThreads = 1; // more threads need headers that plain hosts do not send
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.wasmPaths = { mjs: address("ort/ort-wasm-simd-threaded.mjs") };
  const opened = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  self.postMessage({ progress: 1 });
  return { ort, opened };
}

/** images: Uint8Arrays. [{probabilities: [classes], members: [[classes], …], novelty}] */
async function predict(images) {
  const { ort, opened } = await session;
  const { image_shape: shape, classes } = await model;
  const pixels = new Uint8Array(images.length * images[0].length);
  images.forEach((image, place) => pixels.set(image, place * image.length));
  const outputs = await opened.run({ pixels: new ort.Tensor("uint8", pixels, [images.length, ...shape]) });
  const [whole, each] = [outputs.probabilities.data, outputs.members.data];
  const row = (data, place) => Array.from(data.subarray(place * classes.length, (place + 1) * classes.length));
  const members = outputs.members.dims[0];
  const novelty = outputs.novelty?.data ?? null; // a model of an earlier version has none
  return images.map((_, place) => ({
    probabilities: row(whole, place),
    members: Array.from({ length: members }, (_, member) => row(each, member * images.length + place)),
    novelty: novelty?.[place],
  }));
}

/** Fetch files at the same time, and report the share that has arrived to the page. Returns their bytes. */
async function loaded(paths) {
  const responses = await Promise.all(paths.map(fetched));
  const isPacked = responses.some(({ headers }) => headers.get("Content-Encoding") || !headers.get("Content-Length"));
  const whole = responses.reduce((sum, { headers }) => sum + Number(headers.get("Content-Length")), 0);
  let arrived = 0;
  const onBytes = (count) => {
    arrived += count;
    self.postMessage({ progress: isPacked ? null : Math.min((0.98 * arrived) / whole, 0.98) });
  };
  return Promise.all(responses.map((response) => bytesOf(response, onBytes)));
}

async function bytesOf(response, onBytes) {
  const reader = response.body.getReader();
  const chunks = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value);
    onBytes(read.value.length);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function fetched(path) {
  const response = await fetch(address(path));
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response;
}

function address(path) {
  return new URL(path, import.meta.url).href;
}
