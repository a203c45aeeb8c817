/** Starts the runtime that computes predictions, then the desk. */

import { startChrome } from "./chrome.js";
import { sayPercent, say } from "./language.js";
import { pause, Trouble } from "./newest.js";
import { Desk } from "./desk.js";

const LONGEST_WAIT = 5000; // ms between attempts to start

const { showTrouble } = startChrome();

const isServed = document.documentElement.dataset.runtime === "server";
const { openRuntime } = await import(isServed ? "./runtime-server.js" : "./runtime-browser.js");
const runtime = openRuntime(showProgress);
const model = await loadedModel();
if (model) {
  new Desk(model, runtime, showTrouble);
  await showingTrouble(runtime.ready);
}

/** Do the work; show its Trouble if it fails. */
async function showingTrouble(work) {
  try {
    await work();
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    showTrouble(trouble);
  }
}

/** The model's description; null if it cannot be loaded. Tries again while that may help. */
async function loadedModel() {
  for (let wait = 0; ; ) {
    try {
      const found = await runtime.model();
      showTrouble(null);
      return found;
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      showTrouble(trouble);
      if (trouble.wait === null) return null;
      wait = Math.min(wait + trouble.wait, LONGEST_WAIT);
      await pause(wait);
    }
  }
}

/** share: the loaded share, or null if it is unknown; 1 hides the progress bar. */
function showProgress(share) {
  const loading = document.getElementById("loading");
  const [words, bar] = loading.children;
  loading.hidden = share === 1;
  words.textContent = share === null ? say("loading") : say("loadingShare", { percent: sayPercent(share) });
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}
