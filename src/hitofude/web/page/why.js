/** "Why?": the parts of the image that the answer rests on, by hiding one after the other, as hitofude predict --explain. */

import { drawImage } from "./answer.js";
import { say } from "./language.js";

const SQUARE = 1 / 4; // sides of the hidden square and of its steps, as shares of the image's
const STEP = 1 / 9;
const NEVER_SURER = 1e-4; // probabilities count as no nearer to 0 and 1
const [RED, BLUE] = [[217, 72, 40], [32, 98, 178]];

/** (height · width) values: the fall of the label's log-odds, the mean over the squares that hide a pixel. */
export async function explained(predict, model, pixels, label) {
  const [channels, height, width] = model.image_shape;
  const place = model.classes.indexOf(label);
  const [{ probabilities: whole }] = await predict([pixels]);
  const corners = cornersOver(height, width);
  const hidden = corners.map((square) => hide(pixels, square, channels, height, width, model.look.ground));
  const answers = await predict(hidden);
  const heat = new Float32Array(height * width);
  const squares = new Uint16Array(height * width);
  corners.forEach((square, number) => {
    const fall = logOdds(whole[place]) - logOdds(answers[number].probabilities[place]);
    forEachIn(square, height, width, (pixel) => {
      heat[pixel] += fall;
      squares[pixel] += 1;
    });
  });
  return heat.map((sum, pixel) => sum / Math.max(squares[pixel], 1));
}

function cornersOver(height, width) {
  const shorter = Math.min(height, width);
  const [side, step] = [SQUARE, STEP].map((share) => Math.max(1, Math.floor(share * shorter + 0.5)));
  const half = Math.floor(side / 2);
  const corners = [];
  for (let top = -half; top < height - half; top += step) {
    for (let left = -half; left < width - half; left += step) corners.push({ top, left, side });
  }
  return corners;
}

function forEachIn({ top, left, side }, height, width, work) {
  for (let row = Math.max(top, 0); row < Math.min(top + side, height); row++) {
    for (let column = Math.max(left, 0); column < Math.min(left + side, width); column++) work(row * width + column);
  }
}

function hide(pixels, square, channels, height, width, ground) {
  const copy = pixels.slice();
  forEachIn(square, height, width, (pixel) => {
    for (let channel = 0; channel < channels; channel++) copy[channel * height * width + pixel] = ground;
  });
  return copy;
}

function logOdds(probability) {
  const inner = Math.min(Math.max(probability, NEVER_SURER), 1 - NEVER_SURER);
  return Math.log(inner) - Math.log1p(-inner);
}

export class Why {
  /** root: the section that has #why and #seen. subject(): the image that is shown, {pixels, prediction}, or null. */
  constructor(root, model, runtime, { subject, onTrouble }) {
    Object.assign(this, { model, runtime, subject, onTrouble });
    [this.button, this.seen] = [root.querySelector("#why"), root.querySelector("#seen")];
    this.shown = null; // the prediction that is explained
    this.button.addEventListener("click", () => this.#toggle());
  }

  /** Follow the image that is shown. */
  describe() {
    const prediction = this.subject()?.prediction ?? null;
    this.button.hidden = prediction === null;
    if (this.shown !== prediction) this.reset();
  }

  /** Forget the explanation: the image is drawn again without it. */
  reset() {
    this.shown = null;
    this.button.setAttribute("aria-pressed", false);
  }

  async #toggle() {
    const subject = this.subject();
    if (!subject?.prediction) return;
    if (this.shown) {
      this.reset();
      return this.#draw(subject, null);
    }
    this.button.disabled = true;
    try {
      const predict = (images) => this.runtime.predict(images);
      const heat = await explained(predict, this.model, subject.pixels, subject.prediction.label);
      if (this.subject()?.prediction !== subject.prediction) return;
      this.shown = subject.prediction;
      this.button.setAttribute("aria-pressed", true);
      this.#draw(subject, heat);
    } catch (trouble) {
      this.onTrouble(trouble);
    } finally {
      this.button.disabled = false;
    }
  }

  /** Draw the image, under its heat if that is not null. */
  #draw({ pixels, prediction }, heat) {
    const [, height, width] = this.model.image_shape;
    const canvas = this.seen.querySelector("canvas");
    drawImage(canvas, pixels, this.model.image_shape, (data) => heat && colour(data, heat));
    const words = heat ? say("because", { label: prediction.label }) : say("seenSize", { size: `${height} × ${width}` });
    this.seen.querySelector("figcaption").textContent = words;
    canvas.setAttribute("aria-label", words);
  }
}

/** Mix red or blue into RGBA values, the more the hotter a pixel is. */
function colour(data, heat) {
  const most = Math.max(...heat.map(Math.abs), 1e-6);
  heat.forEach((value, pixel) => {
    const strength = 0.75 * Math.abs(value / most);
    (value > 0 ? RED : BLUE).forEach((tone, channel) => {
      const place = 4 * pixel + channel;
      data[place] += strength * (tone - data[place]);
    });
  });
}
