/** One image after another: shown, judged by keyboard, and kept by the server before the next one is shown. */

import { ask } from "./ask.js";
import { Card, WAS } from "./card.js";
import { Chooser } from "./chooser.js";
import { startChrome } from "./chrome.js";
import { keyOf } from "./keys.js";
import { onLanguage, say } from "./language.js";
import { pause, Trouble } from "./newest.js";

const find = (id) => document.getElementById(id);
const { showTrouble } = startChrome();

class Review {
  /** review: the server's answer to GET api/review. */
  constructor(review) {
    Object.assign(this, { review, place: review.position, item: null, isBusy: false });
    this.ahead = new Map(); // place → promise of its item
    this.isLabelling = review.verdicts.includes("label");
    this.hasDigits = review.classes.every((name) => /^[0-9]$/.test(name));
    this.card = new Card(find("card"), { isLabelling: this.isLabelling, hasDigits: this.hasDigits });
    this.chooser = new Chooser(find("chooser"), find("other"), review.classes, {
      onChoose: (label) => this.give(label),
      onClose: () => find("card").focus(),
    });
    this.#listen();
    onLanguage(() => this.#describe());
    this.#describe();
  }

  #listen() {
    const click = (id, act) => find(id).addEventListener("click", act);
    click("accept", () => this.give(this.item.suggested));
    click("keep", () => this.judge("keep"));
    click("other", () => this.choose());
    click("discard", () => this.judge("drop"));
    click("skip", () => this.judge("skip"));
    click("back", () => this.go(this.place - 1));
    click("forward", () => this.go(this.place + 1));
    click("review", () => this.go(this.place - 1));
    click("undo", () => this.undo());
    click("takeback", () => this.undo());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Show an image of the queue; its end shows the outcome. */
  async go(place) {
    const { total } = this.review;
    if (place < 0 || place > total || this.isBusy) return;
    await this.#working(() => insisting(() => this.#show(place)));
  }

  async #show(place) {
    const { total } = this.review;
    const item = place < total ? await this.#fetch(place) : null;
    this.chooser.close();
    this.place = place;
    this.item = item;
    this.#describe();
    (item ? find("card") : find("done")).focus();
    if (place + 1 < total) this.#fetch(place + 1).catch(() => this.ahead.delete(place + 1));
  }

  #fetch(place) {
    if (!this.ahead.has(place)) {
      this.ahead = new Map([...this.ahead].filter(([other]) => Math.abs(other - place) < 3));
      this.ahead.set(place, ask(`api/items/${place}`));
    }
    const found = this.ahead.get(place);
    found.catch(() => this.ahead.delete(place));
    return found;
  }

  /** Judge that the image has this label. */
  give(label) {
    if (this.isLabelling) return this.judge("label", label);
    return label === this.item.label ? this.judge("keep") : this.judge("relabel", label);
  }

  async judge(verdict, label = "") {
    if (this.isBusy || !this.item || !this.review.verdicts.includes(verdict)) return;
    const { place } = this;
    await this.#working(async () => {
      const answer = await insisting(() => ask("api/judgements", { item: place, verdict, label }));
      if (!answer) return;
      Object.assign(this.review, answer);
      this.ahead.delete(place);
      const { position, total } = this.review;
      const next = place + 1 < total || position === total ? place + 1 : position;
      await insisting(() => this.#show(position === total ? total : next));
    });
  }

  async undo() {
    if (this.isBusy) return;
    await this.#working(async () => {
      const answer = await insisting(() => ask("api/undo", {}), { isOnce: true });
      if (!answer) return;
      Object.assign(this.review, answer);
      this.ahead.clear();
      await insisting(() => this.#show(answer.item ?? answer.position));
      this.#tell(say("undone"));
    });
  }

  choose() {
    if (this.item && !this.isBusy) this.chooser.open(this.item.probabilities.map(([name]) => name));
  }

  /** Do the work. Keys pressed meanwhile count for nothing: they were meant for the image that is going. */
  async #working(work) {
    this.isBusy = true;
    document.body.setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      this.isBusy = false;
      document.body.removeAttribute("aria-busy");
    }
  }

  #press(event) {
    if (event.defaultPrevented || event.isComposing || event.altKey || this.chooser.has(event.target)) return;
    const key = keyOf(event);
    if ((event.ctrlKey || event.metaKey) && key !== "z") return;
    if (event.target.closest("button, a") && ["Enter", " "].includes(event.key)) return;
    const act = this.#actions(event.ctrlKey || event.metaKey)[key] ?? this.#digit(key);
    if (!act || event.repeat) return;
    event.preventDefault();
    act();
  }

  #actions(isControl) {
    if (isControl) return { z: () => this.undo() };
    const moves = { ArrowLeft: () => this.go(this.place - 1), ArrowRight: () => this.go(this.place + 1), u: () => this.undo() };
    if (!this.item) return moves;
    return {
      ...moves,
      Enter: () => this.give(this.item.suggested),
      k: () => this.judge("keep"),
      r: () => this.choose(),
      d: () => this.judge("drop"),
      s: () => this.judge("skip"),
    };
  }

  /** The label that a digit stands for: itself, or the first, second … of the likely ones. */
  #digit(key) {
    if (!this.item || !/^[0-9]$/.test(key)) return null;
    const label = this.hasDigits ? this.review.classes.find((name) => name === key) : this.item.probabilities[key - 1]?.[0];
    return label === undefined ? null : () => this.give(label);
  }

  #describe() {
    const { review, item, place } = this;
    find("model").textContent = review.reviewer ? say("nameOf", review) : review.name;
    document.title = `${review.name} – hitofude`;
    find("share").max = Math.max(review.total, 1);
    find("share").value = review.judged;
    find("place").textContent = say("place", { place: Math.min(place + 1, review.total), total: review.total, judged: review.judged });
    find("card").hidden = item === null;
    find("done").hidden = item !== null || place < review.total;
    if (item) this.#tell(`${find("place").textContent}. ${this.card.describe(item)}`);
    else if (place >= review.total) this.#describeEnd();
  }

  #describeEnd() {
    const { review } = this;
    const counts = review.verdicts.filter((verdict) => review.counts[verdict]);
    const told = counts.map((verdict) => say("count", { verdict: say(WAS[verdict]), count: review.counts[verdict] }));
    const left = review.total - review.judged;
    find("outcome").textContent = [...told, ...(left ? [say("left", { left })] : [])].join(say("comma"));
    find("next").hidden = !review.command;
    find("next").querySelector("code").textContent = review.command ?? "";
    this.#tell(`${say("done")} ${find("outcome").textContent}`);
  }

  #tell(text) {
    find("said").textContent = text;
  }
}

/** Do the work and return its result; null after a Trouble, which is shown. Tries again if that may help. */
async function insisting(work, { isOnce = false } = {}) {
  for (;;) {
    try {
      const result = await work();
      showTrouble(null);
      return result;
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      showTrouble(trouble);
      if (isOnce || trouble.wait === null) return null;
      await pause(trouble.wait);
    }
  }
}

const found = await insisting(() => ask("api/review"));
if (found) await new Review(found).go(found.position);
