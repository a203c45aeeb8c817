/** "That was wrong": the user chooses the right label, and the image is kept with it. */

import { element } from "./answer.js";
import { say } from "./language.js";
import { Trouble } from "./newest.js";

export class Correction {
  /**
   * root: the section that has #wrong, #choices, #thanks and #kept. subject(): the image that is shown,
   * {pixels, prediction, corrected}. onKept(subject): called after it was kept. onTrouble: called with a Trouble.
   */
  constructor(root, model, runtime, { subject, onKept, onTrouble }) {
    Object.assign(this, { runtime, subject, onKept, onTrouble, total: 0, isAsking: false });
    const find = (selector) => root.querySelector(selector);
    for (const name of ["wrong", "choices", "thanks", "kept", "download", "forget"]) this[name] = find(`#${name}`);
    const buttons = model.classes.map((label) => {
      const button = Object.assign(element("button", "", label), { type: "button" });
      button.addEventListener("click", () => this.#choose(label));
      return button;
    });
    this.choices.lastElementChild.replaceChildren(...buttons);
    this.wrong.addEventListener("click", () => this.open(this.choices.hidden));
    this.choices.addEventListener("keydown", (event) => this.#press(event));
    this.download.addEventListener("click", () => this.#download());
    this.forget.addEventListener("click", () => this.#forget());
    this.forget.addEventListener("blur", () => this.#ask(false));
    this.#count();
  }

  get isOpen() {
    return !this.choices.hidden;
  }

  open(isOpen) {
    this.choices.hidden = !isOpen;
    this.wrong.setAttribute("aria-expanded", isOpen);
    if (isOpen) this.choices.querySelector("button").focus();
    else if (this.choices.contains(document.activeElement)) this.wrong.focus();
  }

  /** Update the texts, after another image, another answer or another language. */
  describe() {
    const subject = this.subject();
    const corrected = subject?.corrected ?? null;
    this.wrong.hidden = !subject?.prediction || corrected !== null;
    if (this.wrong.hidden) this.open(false);
    this.thanks.hidden = corrected === null;
    this.thanks.textContent = corrected === null ? "" : say("thanks", { label: corrected });
    this.#describeKept();
  }

  #describeKept() {
    const { runtime, total } = this;
    this.kept.hidden = total === 0;
    const key = runtime.kept ? "keptBrowser" : "keptServer";
    this.kept.firstElementChild.textContent = say(key, { total, command: runtime.kept?.command });
    this.download.hidden = this.forget.hidden = !runtime.kept;
    this.forget.textContent = this.isAsking ? say("forgetReally", { total }) : say("forget");
  }

  async #count() {
    try {
      this.total = await this.runtime.total();
      this.#describeKept();
    } catch (error) {
      if (!(error instanceof Trouble)) throw error; // the predictions show it
    }
  }

  async #choose(label) {
    const subject = this.subject();
    if (!subject || subject.corrected !== null) return;
    subject.corrected = label;
    try {
      this.total = await this.runtime.keep(subject.pixels, label);
      this.onKept(subject);
    } catch (error) {
      subject.corrected = null;
      if (!(error instanceof Trouble)) throw error;
      this.onTrouble(error);
    }
    this.describe();
  }

  /** A label's own key chooses it; arrows move between the labels. */
  #press(event) {
    const buttons = [...this.choices.querySelectorAll("button")];
    const place = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const named = buttons.find((button) => button.textContent === event.key);
    if (step) buttons.at((place + step) % buttons.length).focus();
    else if (named && !event.ctrlKey && !event.metaKey) named.click();
    else return;
    event.preventDefault();
  }

  #download() {
    const address = URL.createObjectURL(new Blob([this.runtime.kept.csv()], { type: "text/csv" }));
    const link = Object.assign(element("a"), { href: address, download: "corrections.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  #forget() {
    if (!this.isAsking) return this.#ask(true);
    this.runtime.kept.clear();
    this.total = 0;
    this.#ask(false);
  }

  #ask(isAsking) {
    this.isAsking = isAsking;
    this.#describeKept();
  }
}
