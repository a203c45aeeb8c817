/** The page's language: the user's choice, or the browser's. */

import { remember, remembered } from "./memory.js";
import { WORDS } from "./words.js";

const KEY = "hitofude.language";
const listeners = [];
let language = "en";

/** The text for a key, with its {values} filled in. */
export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A probability in percent, never a full 100 %. */
export function sayPercent(probability) {
  const percent = Math.min(probability * 100, 99.9);
  return say("percent", { value: percent.toFixed(percent > 99 ? 1 : 0) });
}

/** Call the listener whenever the language changes. */
export function onLanguage(listener) {
  listeners.push(listener);
}

export function startLanguage() {
  const wanted = [remembered(KEY), ...navigator.languages.map((code) => code.slice(0, 2))];
  speak(wanted.find((code) => code in WORDS) ?? "en");
}

export function switchLanguage() {
  speak(language === "en" ? "ja" : "en");
  remember(KEY, language);
}

function speak(wanted) {
  language = wanted;
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  listeners.forEach((listener) => listener());
}
