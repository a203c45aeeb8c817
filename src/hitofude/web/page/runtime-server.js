/** Predictions by the page's server. */

import { ask } from "./ask.js";

const MOST_IMAGES = 64;
const MOST_BYTES = 900_000;
const BYTES = [0, 255]; // the scale of drawings

/** The interface that runtime-browser.js has, too: {model, ready, predict, keep, total, kept}. */
export function openRuntime() {
  return {
    /** {name, classes, image_shape, networks, sure, set_threshold, known_threshold, reads_writing, look} */
    model: () => ask("api/model"),
    /** Resolves when predictions are answered without delay; throws Trouble if they never will be. */
    ready: async () => {},
    predict,
    /** Keep a correction, pixels (Uint8Array) and their right label; return the new total. */
    keep: async (pixels, label) => (await ask("api/corrections", { pixels: Array.from(pixels), label, scale: BYTES })).total,
    total: async () => (await ask("api/corrections")).total,
    kept: null,
  };
}

/** images: Uint8Arrays. Returns [{label, probability, sure, probabilities, members, asked, known, novelty, set}], by one request or several. */
async function predict(images) {
  const fitting = Math.floor(MOST_BYTES / (4 * images[0].length));
  const step = Math.min(Math.max(fitting, 1), MOST_IMAGES);
  const predictions = [];
  for (let start = 0; start < images.length; start += step) {
    const batch = images.slice(start, start + step).map((image) => Array.from(image));
    predictions.push(...(await ask("api/predict", { images: batch, scale: BYTES })).predictions);
  }
  return predictions;
}
