/** Predictions by the page's server. */

import { Trouble } from "./newest.js";

const MOST_IMAGES = 64;
const MOST_BYTES = 900_000;
const RETRY = 1000; // ms
const BYTES = [0, 255]; // the scale of drawings

/** The interface that runtime-browser.js has, too: {model, ready, predict, keep, total, kept}. */
export function openRuntime() {
  return {
    /** {name, classes, image_shape, networks, sure, set_threshold, reads_writing, look} */
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

/** images: Uint8Arrays. Returns [{label, probability, sure, probabilities, members, asked, set}], by one request or several. */
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

/** Ask the server: GET without a body, else POST. */
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
