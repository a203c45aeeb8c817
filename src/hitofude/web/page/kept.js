/** Corrections that the browser keeps, for pages without a server. */

import { forget, remember, remembered } from "./memory.js";
import { Trouble } from "./newest.js";

const MOST_LETTERS = 2_000_000; // browsers give an address about five millions

/** Of one page and one shape of images. */
export class Kept {
  constructor({ image_shape: shape }) {
    this.shape = shape;
    this.key = `hitofude.kept:${location.pathname.replace(/[^/]*$/, "")}:${shape.join("x")}`;
    this.rows = readRows(this.key, shape[0] * shape[1] * shape[2]);
  }

  get total() {
    return this.rows.length;
  }

  /** How many there are with this one. Throws Trouble where there is no more room. */
  add(pixels, label) {
    const rows = [...this.rows, [label, packed(pixels)]];
    const text = JSON.stringify(rows);
    if (text.length > MOST_LETTERS || !remember(this.key, text)) throw new Trouble("full");
    this.rows = rows;
    return this.total;
  }

  clear() {
    forget(this.key);
    this.rows = [];
  }

  /** As Kaggle has it, a row an image; in colour the values of a pixel stand side by side. */
  csv() {
    const [channels, height, width] = this.shape;
    const names = Array.from({ length: channels * height * width }, (_, place) => `pixel${place}`);
    const from = names.map((_, place) => (place % channels) * height * width + Math.floor(place / channels));
    const lines = this.rows.map(([label, text]) => {
      const values = unpacked(text);
      return [quoted(label), ...from.map((place) => values[place])];
    });
    return [["label", ...names], ...lines].map((line) => line.join(",") + "\n").join("");
  }

  /** What learns from the file. */
  get command() {
    const [channels, height, width] = this.shape;
    const isPlain = channels === 1 && height === width;
    return "hitofude run" + (isPlain ? "" : ` --shape ${height}x${width}${channels > 1 ? `x${channels}` : ""}`);
  }
}

/** [[label, pixels in base64], …], without what is damaged. */
function readRows(key, pixels) {
  try {
    const rows = JSON.parse(remembered(key) ?? "[]");
    return rows.filter(([label, text]) => typeof label === "string" && atob(text).length === pixels);
  } catch {
    return [];
  }
}

function packed(pixels) {
  return btoa(Array.from(pixels, (value) => String.fromCharCode(value)).join(""));
}

function unpacked(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function quoted(text) {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
