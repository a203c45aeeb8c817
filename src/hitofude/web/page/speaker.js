/** Texts for a screen reader: not every answer while a stroke is drawn, but the one that stays. */

const SETTLED = 700; // ms

export class Speaker {
  /** region: an element with aria-live. */
  constructor(region) {
    this.region = region;
    this.timer = 0;
  }

  say(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.region.textContent = text), SETTLED);
  }

  sayNow(text) {
    clearTimeout(this.timer);
    this.region.textContent = text;
  }
}
