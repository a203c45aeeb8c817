/** Corrections that the browser keeps, if the page has no server. */

import { forget, remember, remembered } from "./memory.js";
import { Trouble } from "./newest.js";

const MOST_LETTERS = 2_000_000; // browsers give an origin about five million

/** The corrections of one page, for one shape of images. */
export class Kept {
  constructor({ image_shape: shape }) {
    this.shape = shape;
    this.key = `hitofude.kept:${location.pathname.replace(/[^/]*$/, "")}:${shape.join("x")}`;
    this.rows = readRows(this.key, shape[0] * shape[1] * shape[2]);
  }

  get total() {
    return this.rows.length;
  }

  /** Add a correction and return the new total. Throws Trouble if there is no more room. */
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

  /** A table like Kaggle's, one image a row; in colour a pixel's values are next to each other. */
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

  /** The command that trains on the file. */
  get command() {
    const [channels, height, width] = this.shape;
    const isPlain = channels === 1 && height === width;
    return "hitofude run" + (isPlain ? "" : ` --shape ${height}x${width}${channels > 1 ? `x${channels}` : ""}`);
  }
}

/** [[label, pixels in base64], …], without damaged entries. */
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
