/** Predictions in the browser, by a worker, so that drawing stays smooth. */

import { Kept } from "./kept.js";
import { Trouble } from "./newest.js";

/** The interface of runtime-server.js. onProgress: called with the loaded share, null if unknown; 1 at the end. */
export function openRuntime(onProgress) {
  const worker = new Worker(new URL("model-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;
  onProgress(null);
  let described; // the content of model.json, once it is loaded

  worker.onmessage = ({ data: { id, progress, result, failure } }) => {
    if (progress !== undefined) return onProgress(progress);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) return resolve(result);
    onProgress(1);
    reject(new Trouble("broken", { detail: failure }));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    onProgress(1);
    for (const { reject } of waiting.values()) reject(new Trouble("broken", { detail: event.message ?? "" }));
    waiting.clear();
  };

  function ask(message) {
    return new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject });
      worker.postMessage({ id: asked, ...message });
    });
  }

  const runtime = {
    async model() {
      described = await ask({ task: "model" });
      runtime.kept = new Kept(described);
      return described;
    },
    ready: () => ask({ task: "open" }),
    async predict(images) {
      const answers = await ask({ task: "predict", images });
      return answers.map((answer) => toPrediction(described, answer));
    },
    keep: async (pixels, label) => runtime.kept.add(pixels, label),
    total: async () => runtime.kept.total,
    kept: null,
  };
  return runtime;
}

function toPrediction(model, { probabilities, members, novelty }) {
  const { classes, set_threshold: threshold, known_threshold: knownUpTo, cascade } = model;
  const probability = Math.max(...probabilities);
  const label = classes[probabilities.indexOf(probability)];
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const held = order.filter((place, rank) => rank === 0 || probabilities[place] >= threshold);
  const set = threshold === null ? undefined : held.map((place) => classes[place]);
  const asked = countAsked(cascade?.stages ?? [], members);
  const known = novelty === undefined || knownUpTo === null ? undefined : novelty <= Math.fround(knownUpTo);
  const sure = probability >= model.sure && known !== false;
  return { label, probability, sure, probabilities, members, asked, known, novelty, set };
}

/** The number of members that were asked: until their mean reaches the threshold of its stage. */
export function countAsked(stages, members) {
  const sums = members[0].map(() => 0);
  for (const [place, { member, threshold }] of stages.entries()) {
    members[member].forEach((probability, label) => (sums[label] += probability));
    if (Math.fround(Math.max(...sums) / (place + 1)) >= Math.fround(threshold)) return place + 1;
  }
  return members.length;
}
