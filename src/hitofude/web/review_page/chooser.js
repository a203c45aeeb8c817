/** A text field with the classes below it: typing narrows them, arrows move, Enter chooses, Escape closes. */

import { element } from "./card.js";
import { say } from "./language.js";

const MOST_SHOWN = 100;

export class Chooser {
  /** root: has #typed, #options and #none. button: shows whether it is open. onChoose(label), onClose(): called then. */
  constructor(root, button, classes, { onChoose, onClose }) {
    Object.assign(this, { root, button, classes, onChoose, onClose, likely: [], shown: [], active: 0 });
    for (const name of ["typed", "options", "none"]) this[name] = root.querySelector(`#${name}`);
    this.typed.addEventListener("input", () => this.#narrow());
    this.typed.addEventListener("keydown", (event) => this.#press(event));
    this.options.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#choose(option.textContent);
    });
  }

  /** Whether an element is part of it. */
  has(target) {
    return this.root.contains(target);
  }

  /** likely: the classes to begin with. */
  open(likely) {
    this.likely = likely;
    this.typed.value = "";
    this.root.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.#narrow();
    this.typed.focus();
  }

  close() {
    if (this.root.hidden) return;
    this.root.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    this.onClose();
  }

  #choose(label) {
    this.close();
    this.onChoose(label);
  }

  #narrow() {
    const wanted = this.typed.value.trim().toLowerCase();
    const all = [...new Set([...this.likely, ...this.classes])];
    this.shown = wanted ? ranked(all, this.typed.value.trim(), wanted) : all;
    this.shown = this.shown.slice(0, MOST_SHOWN);
    this.options.replaceChildren(
      ...this.shown.map((label, place) => element("li", { id: `option-${place}`, role: "option" }, [label])),
    );
    this.none.hidden = this.shown.length > 0;
    this.none.textContent = this.shown.length ? "" : say("noClass");
    this.#activate(0);
  }

  #activate(place) {
    this.active = place;
    [...this.options.children].forEach((option, other) => option.setAttribute("aria-selected", other === place));
    const option = this.options.children[place];
    if (option) this.typed.setAttribute("aria-activedescendant", option.id);
    else this.typed.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  #press(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const { length } = this.shown;
    if (step && length) this.#activate((this.active + step + length) % length);
    else if (event.key === "Enter" && length) this.#choose(this.shown[this.active]);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
  }
}

/** The classes that contain a text: itself first, then those that begin with it. */
function ranked(classes, exact, wanted) {
  const rank = (name) => {
    const small = name.toLowerCase();
    if (name === exact) return 0;
    if (small === wanted) return 1;
    return small.startsWith(wanted) ? 2 : 3;
  };
  const found = classes.filter((name) => name.toLowerCase().includes(wanted));
  return found.map((name, place) => [rank(name), place, name]).sort(([a, b], [c, d]) => a - c || b - d).map(([, , name]) => name);
}
