/** The image to judge, and what is known about it. */

import { say, sayPercent } from "./language.js";

/** The words of the verdicts that were given, and of the reasons to ask for one. */
export const WAS = { keep: "wasKeep", relabel: "wasRelabel", drop: "wasDrop", skip: "wasSkip", label: "wasLabel" };
const REASONS = { copy: "copy", answer: "answer", unclear: "unclear" };

export class Card {
  /** root: the card's element. hasDigits: whether all classes are digits, which their own keys choose. */
  constructor(root, { isLabelling, hasDigits }) {
    Object.assign(this, { root, isLabelling, hasDigits, find: (id) => root.querySelector(`#${id}`) });
    this.find("image").addEventListener("load", ({ target }) => {
      target.style.setProperty("--aspect", target.naturalWidth / target.naturalHeight);
    });
  }

  /** Show an item; return a text of it for a screen reader. item: the server's answer to GET api/items/N. */
  describe(item) {
    const { find, isLabelling } = this;
    const image = find("image");
    if (image.src !== item.image) image.src = item.image;
    image.alt = say("imageOf", { id: item.id });
    const why = item.reasons.map((reason) => this.#reason(reason, item)).join(say("comma"));
    find("why").textContent = why;
    find("given").hidden = item.label === null;
    this.#label("given", item.label ?? "");
    this.#label("suggested", item.suggested);
    this.#bars(item);
    this.#similar(item);
    this.#others(item);
    this.#judged(item);
    find("accept").lastElementChild.textContent = say("take", { label: item.suggested });
    find("other").lastElementChild.textContent = say("otherLabel");
    find("keep").hidden = isLabelling;
    find("accept").hidden = !isLabelling && item.suggested === item.label;
    find("digits").textContent = this.hasDigits ? say("digits") : say("numbers");
    return isLabelling
      ? say("saidUnlabelled", { suggested: item.suggested })
      : say("saidItem", { label: item.label, suggested: item.suggested, why });
  }

  #label(name, text) {
    const shown = this.find(name).querySelector("dd");
    shown.textContent = text;
    shown.className = [...text].length > 3 ? "word" : "";
  }

  #reason(reason, item) {
    if (reason === "suspect") return say("suspect", { percent: sayPercent(item.wrong) });
    return say(REASONS[reason]);
  }

  #bars({ probabilities }) {
    const letters = Math.min(Math.max(1, ...probabilities.map(([name]) => [...name].length)), 14) + (this.hasDigits ? 0 : 3);
    const list = this.find("bars");
    list.style.setProperty("--letters", letters);
    list.hidden = probabilities.length === 0;
    list.replaceChildren(...probabilities.map(([name, probability], place) => this.#bar(name, probability, place)));
  }

  #bar(name, probability, place) {
    const label = element("b", {}, this.hasDigits ? [] : [element("kbd", {}, [String(place + 1)]), " "]);
    label.append(name);
    label.title = name;
    const value = element("i");
    value.style.setProperty("--p", probability);
    const item = element("li", {}, [label, element("span", { className: "track" }, [value]), element("small", {}, [sayPercent(probability)])]);
    if (place === 0) item.className = "best";
    return item;
  }

  #similar({ similar }) {
    const figure = this.find("similar");
    figure.hidden = similar.length === 0;
    figure.querySelector("ul").replaceChildren(
      ...similar.map((one) => {
        const image = element("img", { src: one.image, alt: say("imageOf", { id: one.id }), title: one.id });
        const item = element("li", { className: one.copy ? "copy" : "" }, [image, one.copy ? say("copyOf", one) : one.label]);
        return item;
      }),
    );
  }

  #others({ others }) {
    const list = this.find("others");
    list.hidden = others.length === 0;
    list.replaceChildren(
      ...others.map(({ reviewer, verdict, label }) => {
        const told = label ? say("withLabel", { verdict: say(WAS[verdict]), label }) : say(WAS[verdict]);
        return element("li", {}, [say("byReviewer", { reviewer, told })]);
      }),
    );
  }

  #judged({ verdict, chosen }) {
    const shown = this.find("judged");
    shown.hidden = verdict === null;
    if (verdict === null) return;
    const told = chosen ? say("withLabel", { verdict: say(WAS[verdict]), label: chosen }) : say(WAS[verdict]);
    shown.textContent = say("judged", { told });
  }
}

/** An element with properties and children. */
export function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
