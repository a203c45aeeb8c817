/** The prediction for one image: the answer, the probabilities, the members' agreement, and the image they saw. */

import { say, sayPercent } from "./language.js";

const MOST_BARS = 10;
const SHOWN_FROM = 0.005; // smaller probabilities get no number
const SET_LEVEL = 0.95;
const MOST_ANSWERS = 3; // of a larger set, the two likeliest
const LONG = 2; // letters; with longer labels there is one bar a row
const WIDEST = 14; // letters of room for a label beside its bar

/** The two likeliest classes, [{label, probability}, …]; one if there is only one class. */
export function likeliest({ classes }, { probabilities }) {
  return ranked(probabilities)
    .slice(0, 2)
    .map((place) => ({ label: classes[place], probability: probabilities[place] }));
}

/** The labels of an answer: the likeliest or, if that is not sure, its prediction set, or the two likeliest. */
function answeredBy(model, prediction) {
  const [first, second] = likeliest(model, prediction);
  if (prediction.sure || !second) return [first.label];
  const size = prediction.set?.length ?? 0;
  return size >= 2 && size <= MOST_ANSWERS ? prediction.set : [first.label, second.label];
}

/** The prediction in one sentence. */
export function sentence(model, prediction) {
  const [first, second] = likeliest(model, prediction);
  const firstPercent = sayPercent(first.probability);
  if (prediction.known === false) return say("saidNone", { label: first.label });
  if (prediction.sure || !second) return say("saidSure", { label: first.label, percent: firstPercent });
  const secondPercent = sayPercent(second.probability);
  return say("saidNotSure", { first: first.label, firstPercent, second: second.label, secondPercent });
}

/** Draw an image, (channels · height · width) values, one canvas pixel per pixel. colour: changes the RGBA values. */
export function drawImage(canvas, pixels, [channels, height, width], colour = () => {}) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  const size = width * height;
  for (let place = 0; place < size; place++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * place + channel] = pixels[(channels === 1 ? 0 : channel) * size + place];
    }
    image.data[4 * place + 3] = 255;
  }
  colour(image.data);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function element(name, className = "", text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

export class Answer {
  /** root: the section that has #winner, #seen, #members and #bars. */
  constructor(root, model) {
    this.model = model;
    const find = (selector) => root.querySelector(selector);
    for (const name of ["winner", "seen", "members", "bars"]) this[name] = find(`#${name}`);
    const longest = Math.max(...model.classes.map((label) => [...label].length));
    this.bars.classList.toggle("rows", model.classes.length > MOST_BARS || longest > LONG);
    this.bars.style.setProperty("--letters", Math.min(longest, WIDEST));
    const count = Math.min(model.classes.length, MOST_BARS);
    this.bars.replaceChildren(...Array.from({ length: count }, () => bar()));
  }

  /** Show the image that the networks see, or none if it is null. */
  showSeen(pixels) {
    const [, height, width] = this.model.image_shape;
    this.seen.hidden = pixels === null;
    if (pixels === null) return;
    const canvas = this.seen.querySelector("canvas");
    drawImage(canvas, pixels, this.model.image_shape);
    const words = say("seenSize", { size: `${height} × ${width}` });
    canvas.setAttribute("aria-label", words);
    this.seen.querySelector("figcaption").textContent = words;
  }

  /** prediction: null if there is none. */
  show(prediction) {
    this.#showWinner(prediction);
    this.#showBars(prediction);
    this.#showMembers(prediction);
  }

  #showWinner(prediction) {
    const { winner, model } = this;
    if (!prediction) {
      const isDigits = /^\d+$/.test(model.classes.join(""));
      winner.replaceChildren(element("p", "invitation", say(isDigits ? "empty" : "emptyAny")));
      winner.dataset.labels = winner.className = winner.title = "";
      return;
    }
    const isNone = prediction.known === false;
    const shown = isNone ? [say("none")] : answeredBy(model, prediction);
    if (winner.dataset.labels !== shown.join("\n")) {
      winner.dataset.labels = shown.join("\n");
      winner.replaceChildren(labelsOf(shown), element("p"));
      pop(winner.firstElementChild);
    }
    winner.className = shown.length === 1 && !isNone ? "sure" : "unsure";
    winner.querySelectorAll(".or").forEach((word) => word.replaceChildren(say("or")));
    const percents = shown.length === 1 ? say("sure", { percent: sayPercent(prediction.probability) }) : say("notSure");
    winner.title = shown === prediction.set ? say("set", { percent: sayPercent(SET_LEVEL) }) : "";
    winner.lastElementChild.textContent = isNone ? say("perhaps", { label: prediction.label }) : percents;
  }

  #showBars(prediction) {
    const { classes } = this.model;
    const probabilities = prediction?.probabilities ?? classes.map(() => 0);
    const shown = ranked(probabilities).slice(0, this.bars.children.length);
    if (classes.length <= MOST_BARS) shown.sort((a, b) => a - b);
    const best = prediction ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    shown.forEach((place, row) => {
      const item = this.bars.children[row];
      const [name, track, value] = item.children;
      name.textContent = classes[place];
      track.firstElementChild.style.setProperty("--p", probabilities[place]);
      value.textContent = probabilities[place] >= SHOWN_FROM ? sayPercent(probabilities[place]) : "";
      item.classList.toggle("best", place === best);
    });
    this.bars.classList.toggle("idle", !prediction);
  }

  #showMembers(prediction) {
    const { members, model } = this;
    members.hidden = !prediction || prediction.members.length < 2;
    if (members.hidden) return;
    const { asked } = prediction;
    const all = prediction.members.length;
    const numbers = asked < all ? model.cascade.stages.slice(0, asked).map(({ member }) => member) : prediction.members.keys();
    const answers = [...numbers].map((member) => [member, ranked(prediction.members[member])[0]]);
    const count = answers.filter(([, answer]) => model.classes[answer] === prediction.label).length;
    const sentence = asked === all ? "agree" : asked === 1 ? "alone" : "agreeOfSome";
    members.firstElementChild.textContent = say(sentence, { count, asked, all });
    const marks = answers.map(([member, answer]) => {
      const label = model.classes[answer];
      const mark = element("li", label === prediction.label ? "" : "other", label);
      const percent = sayPercent(prediction.members[member][answer]);
      mark.title = say("member", { network: model.networks[member] ?? member + 1, label, percent });
      return mark;
    });
    members.lastElementChild.replaceChildren(...marks);
  }
}

/** Indices in order of probability, the likeliest first. */
function ranked(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
}

function bar() {
  const item = element("li");
  const track = element("span", "track");
  track.append(element("i"));
  item.append(element("b"), track, element("small"));
  return item;
}

function labelsOf(labels) {
  const line = element("strong");
  const longest = Math.max(...labels.map((label) => [...label].length));
  line.classList.toggle("word", longest > LONG);
  labels.forEach((label, place) => line.append(...(place ? [" ", element("span", "or"), " ", label] : [label])));
  return line;
}

/** Let a new answer jump a little, unless the user prefers reduced motion. */
function pop(node) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const small = { transform: "scale(.72)", opacity: 0.2 };
  const large = { transform: "scale(1.06)", offset: 0.6 };
  node.animate([small, large, { transform: "none" }], { duration: 220, easing: "ease-out" });
}
