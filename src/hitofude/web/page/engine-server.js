/** Predictions by the server that the page comes from. */

import { Trouble } from "./newest.js";

const MOST_IMAGES = 64;
const MOST_BYTES = 900_000;
const RETRY = 1000; // ms

/** The same as of engine-browser.js: {model, ready, predict, keep, total, kept}. */
export function openEngine() {
  return {
    /** {name, classes, image_shape, networks, sure} */
    model: () => ask("api/model"),
    /** Resolves when predictions are answered at once; throws Trouble where they never will be. */
    ready: async () => {},
    predict,
    /** How many corrections there are, with this one: pixels (Uint8Array) and their right label. */
    keep: async (pixels, label) => (await ask("api/corrections", { pixels: Array.from(pixels), label })).total,
    total: async () => (await ask("api/corrections")).total,
    kept: null,
  };
}

/** images: Uint8Arrays. [{label, probability, sure, probabilities, members}], in as many requests as they need. */
async function predict(images) {
  const fitting = Math.floor(MOST_BYTES / (4 * images[0].length));
  const step = Math.min(Math.max(fitting, 1), MOST_IMAGES);
  const predictions = [];
  for (let start = 0; start < images.length; start += step) {
    const part = images.slice(start, start + step).map((image) => Array.from(image));
    predictions.push(...(await ask("api/predict", { images: part })).predictions);
  }
  return predictions;
}

/** GET without a body, else POST. */
async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const request = body && { method: "POST", headers, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, request);
    if (response.ok) return await response.json();
  } catch {
    throw new Trouble("gone", {}, RETRY);
  }
  if (response.status === 503) {
    throw new Trouble("busy", {}, 1000 * (Number(response.headers.get("Retry-After")) || 1));
  }
  const answer = await response.json().catch(() => ({}));
  throw new Trouble("refused", { detail: describe(answer.detail) ?? response.status });
}

function describe(detail) {
  return detail === undefined || typeof detail === "string" ? detail : JSON.stringify(detail);
}
