/** Everything around the desk: language, theme, and the banner for problems. */

import { onLanguage, say, startLanguage, switchLanguage } from "./language.js";
import { remember } from "./memory.js";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const repainters = [];

/** Call the listener whenever the colours change. */
export function onTheme(listener) {
  repainters.push(listener);
}

/** Return {showTrouble}, which shows a Trouble until it is called with null. */
export function startChrome() {
  const find = (id) => document.getElementById(id);
  const banner = find("banner");
  let trouble = null;
  const showTrouble = (next) => {
    trouble = next;
    banner.hidden = trouble === null;
    banner.textContent = trouble === null ? "" : say(trouble.key, trouble.values);
  };
  onLanguage(() => {
    find("language").textContent = say("other");
    find("language").lang = root.lang === "en" ? "ja" : "en";
    find("theme").title = say("theme");
    showTrouble(trouble);
  });
  startLanguage();
  find("language").addEventListener("click", switchLanguage);
  find("theme").addEventListener("click", switchTheme);
  dark.addEventListener("change", () => repainters.forEach((repaint) => repaint()));
  return { showTrouble };
}

function switchTheme() {
  const shown = root.dataset.theme ?? (dark.matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  remember("hitofude.theme", root.dataset.theme);
  repainters.forEach((repaint) => repaint());
}
