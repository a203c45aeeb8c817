/** The page: starts the engine that computes, then brings sheet, photos, answer and corrections together. */

import { startChrome } from "./chrome.js";
import { sayPercent, say } from "./language.js";
import { pause, Trouble } from "./newest.js";
import { Desk } from "./desk.js";

const SLOWEST = 5000; // ms between attempts to begin

const { showTrouble } = startChrome();

const isServed = document.documentElement.dataset.engine === "server";
const { openEngine } = await import(isServed ? "./engine-server.js" : "./engine-browser.js");
const engine = openEngine(showProgress);
const model = await described();
if (model) {
  new Desk(model, engine, showTrouble);
  await told(engine.ready);
}

/** What stands in the way is shown. */
async function told(work) {
  try {
    await work();
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    showTrouble(trouble);
  }
}

/** What the networks are; asked for until it is there. */
async function described() {
  for (let wait = 0; ; ) {
    try {
      const found = await engine.model();
      showTrouble(null);
      return found;
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      showTrouble(trouble);
      if (trouble.wait === null) return null;
      wait = Math.min(wait + trouble.wait, SLOWEST);
      await pause(wait);
    }
  }
}

/** share: of what is to be loaded; null where it is unknown. */
function showProgress(share) {
  const loading = document.getElementById("loading");
  const [words, bar] = loading.children;
  loading.hidden = share === 1;
  words.textContent = share === null ? say("loading") : say("loadingShare", { percent: sayPercent(share) });
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}
