/** Predictions in the browser itself, by a worker, so that drawing stays smooth. */

import { Kept } from "./kept.js";
import { Trouble } from "./newest.js";

/** The same as of engine-server.js. onProgress: told of the share that is loaded, null for unknown; 1 at the end. */
export function openEngine(onProgress) {
  const worker = new Worker(new URL("model-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;
  onProgress(null);
  let described; // what model.json says, once it is there

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

  const engine = {
    async model() {
      described = await ask({ task: "model" });
      engine.kept = new Kept(described);
      return described;
    },
    ready: () => ask({ task: "open" }),
    async predict(images) {
      const answers = await ask({ task: "predict", images });
      return answers.map(({ probabilities, members }) => judged(described, probabilities, members));
    },
    keep: async (pixels, label) => engine.kept.add(pixels, label),
    total: async () => engine.kept.total,
    kept: null,
  };
  return engine;
}

function judged({ classes, sure }, probabilities, members) {
  const probability = Math.max(...probabilities);
  const label = classes[probabilities.indexOf(probability)];
  return { label, probability, sure: probability >= sure, probabilities, members };
}
