/** A photo with boxes around its digits, and below it the images that the networks see; one of them is chosen. */

import { drawImage, element } from "./answer.js";
import { say, sayPercent } from "./language.js";

export class PhotoView {
  /** onChosen: called with the index of the chosen digit. */
  constructor(picture, list, summary, model, onChosen) {
    Object.assign(this, { picture, list, summary, model, onChosen });
    this.items = []; // {box, pixels, prediction, corrected}
  }

  /** canvas: the photo; boxes: in its pixels; images: Uint8Arrays. */
  show(canvas, boxes, images) {
    this.items = images.map((pixels, place) => ({ box: boxes[place], pixels, prediction: null, corrected: null }));
    const photo = this.picture.querySelector("canvas");
    Object.assign(photo, { width: canvas.width, height: canvas.height });
    photo.getContext("2d").drawImage(canvas, 0, 0);
    this.picture.style.setProperty("--aspect", canvas.width / canvas.height);
    this.picture.replaceChildren(photo, ...this.items.map((item, place) => this.#box(item, place, canvas)));
    this.list.replaceChildren(...this.items.map((item, place) => this.#entry(item, place)));
    const [[top, left, bottom, right]] = boxes;
    this.isWhole = bottom - top === canvas.height && right - left === canvas.width;
    this.picture.hidden = false;
    this.picture.classList.toggle("whole", this.isWhole);
    this.list.hidden = this.summary.hidden = this.isWhole; // the answer says it all
    this.describe();
  }

  answer(predictions) {
    predictions.forEach((prediction, place) => (this.items[place].prediction = prediction));
    this.describe();
  }

  hide() {
    this.items = [];
    for (const shown of [this.picture, this.list, this.summary]) shown.hidden = true;
  }

  choose(chosen) {
    this.chosen = chosen;
    for (const group of [this.#boxes(), this.#entries()]) {
      group.forEach((button, place) => button.setAttribute("aria-pressed", place === chosen));
    }
    this.#entries()[chosen]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.onChosen(chosen);
  }

  /** Update the texts, after new answers or in another language. */
  describe() {
    const { items } = this;
    const boxes = this.#boxes();
    const entries = this.#entries();
    items.forEach((item, place) => {
      const label = item.corrected ?? item.prediction?.label ?? "";
      const isOpen = item.prediction !== null && !item.prediction.sure && item.corrected === null;
      const spoken = spokenOf(item, label, place + 1);
      boxes[place].dataset.text = isOpen ? `${label}?` : label;
      entries[place].querySelector("b").textContent = isOpen ? `${label}?` : label;
      entries[place].querySelector("small").textContent = percentOf(item);
      for (const button of [boxes[place], entries[place]]) {
        button.setAttribute("aria-label", spoken);
        button.classList.toggle("unsure", isOpen);
        button.classList.toggle("corrected", item.corrected !== null);
      }
    });
    this.summary.textContent = this.sentence();
  }

  /** All digits in one sentence. */
  sentence() {
    const { items } = this;
    const labels = items.map(({ prediction, corrected }) => {
      if (corrected !== null || prediction === null) return corrected ?? "·";
      return prediction.sure ? prediction.label : `${prediction.label}?`;
    });
    return say(items.length === 1 ? "foundOne" : "found", { count: items.length, labels: labels.join(" ") });
  }

  #boxes() {
    return [...this.picture.querySelectorAll("button")];
  }

  #entries() {
    return [...this.list.querySelectorAll("button")];
  }

  #box({ box: [top, left, bottom, right] }, place, { width, height }) {
    const button = Object.assign(element("button", "box"), { type: "button", tabIndex: -1 });
    const share = (length, whole) => `${(100 * length) / whole}%`;
    button.style.left = share(left, width);
    button.style.top = share(top, height);
    button.style.width = share(right - left, width);
    button.style.height = share(bottom - top, height);
    button.addEventListener("click", () => this.choose(place));
    return button;
  }

  #entry({ pixels }, place) {
    const button = Object.assign(element("button"), { type: "button" });
    const canvas = element("canvas");
    drawImage(canvas, pixels, this.model.image_shape);
    button.append(canvas, element("b"), element("small"));
    button.addEventListener("click", () => this.choose(place));
    const item = element("li");
    item.append(button);
    return item;
  }
}

function percentOf({ prediction, corrected }) {
  if (corrected !== null) return "✓";
  return prediction ? sayPercent(prediction.probability) : "";
}

function spokenOf({ prediction, corrected }, label, number) {
  if (!prediction || corrected !== null) return say("digit", { number, label });
  const key = prediction.sure ? "digitSure" : "digitNotSure";
  return say(key, { number, label, percent: sayPercent(prediction.probability) });
}
