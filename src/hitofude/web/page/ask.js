/** Questions to the page's server. */

import { Trouble } from "./newest.js";

const RETRY = 1000; // ms

/** Ask the server: GET without a body, else POST; return its JSON. Throws Trouble. */
export async function ask(path, body) {
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
