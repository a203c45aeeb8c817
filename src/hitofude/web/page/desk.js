/** The desk: a sheet or a photo on one side, the answer on the other. */

import { Answer, sentence } from "./answer.js";
import { onTheme } from "./chrome.js";
import { Correction } from "./correction.js";
import { onLanguage, say } from "./language.js";
import { drawingToImage } from "./mnist-format.js";
import { newestOnly, pause, Trouble } from "./newest.js";
import { openPhoto, readInWorker } from "./photo-file.js";
import { PhotoView } from "./photo-view.js";
import { takePictures } from "./pictures.js";
import { Sheet } from "./sheet.js";
import { Speaker } from "./speaker.js";
import { Why } from "./why.js";

const FRAME = 15; // ms
const [NARROWEST, WIDEST] = [0.6, 1.8];

export class Desk {
  constructor(model, runtime, showTrouble) {
    Object.assign(this, { model, runtime, showTrouble });
    const find = (this.find = (id) => document.getElementById(id));
    this.speaker = new Speaker(find("said"));
    let busy = 0;
    const onBusy = (isBusy) => find("answer").setAttribute("aria-busy", (busy += isBusy ? 1 : -1) > 0);
    this.prepare = newestOnly(() => this.#prepareDrawing(), { onTrouble: () => {}, onBusy });
    this.ask = newestOnly((work) => work(), { onTrouble: showTrouble, onBusy });
    this.drawing = null; // {pixels, prediction, corrected}
    this.pictures = 0; // how many were opened, to tell an outdated one
    this.isPhoto = false;
    this.answer = new Answer(find("answer"), model);
    this.photo = new PhotoView(find("picture"), find("found"), find("summary"), model, () => this.#show());
    this.correction = new Correction(find("answer"), model, runtime, {
      subject: () => this.subject,
      onKept: ({ corrected }) => this.#onKept(corrected),
      onTrouble: showTrouble,
    });
    this.why = new Why(find("answer"), model, runtime, { subject: () => this.subject, onTrouble: showTrouble });
    const aspect = Math.min(Math.max(model.image_shape[2] / model.image_shape[1], NARROWEST), WIDEST);
    find("stage").style.setProperty("--aspect", aspect);
    this.sheet = new Sheet(find("sheet"), find("pen"), aspect, {
      onChange: () => this.#onDrawing(),
      onPen: (isDown) => this.speaker.sayNow(say(isDown ? "penDown" : "penUp")),
    });
    this.#listen();
    onTheme(() => this.sheet.repaint());
    onLanguage(() => this.#describe());
    this.#describe();
    this.#showMode();
  }

  /** The image that is shown: the drawing, or the chosen digit of the photo. */
  get subject() {
    return this.isPhoto ? this.photo.items[this.photo.chosen] ?? null : this.drawing;
  }

  #listen() {
    const { find } = this;
    for (const name of ["undo", "redo", "clear"]) find(name).addEventListener("click", () => this.#edit(name));
    find("again").addEventListener("click", () => this.#backToDrawing());
    takePictures(find("stage"), find("drop"), find("choose"), find("file"), (file) => this.#openPicture(file));
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** name: undo, redo or clear. */
  #edit(name) {
    this.sheet[name]();
    this.speaker.sayNow(name === "clear" ? say("cleared") : name === "undo" ? say("undone") : "");
    const button = this.find(name);
    if (button.disabled && document.activeElement === document.body) this.sheet.canvas.focus({ focusVisible: false });
  }

  #press(event) {
    const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey;
    const key = event.key.toLowerCase();
    if (event.key === "Escape" && this.correction.isOpen) this.correction.open(false);
    else if (event.key === "Escape" && this.isPhoto) this.#backToDrawing();
    else if (this.isPhoto) return;
    else if (isCommand && key === "z") this.#edit(event.shiftKey ? "redo" : "undo");
    else if (isCommand && key === "y") this.#edit("redo");
    else if (event.key === "Escape" || event.key === "Delete") this.#edit("clear");
    else return;
    event.preventDefault();
  }

  #onDrawing() {
    const { strokes } = this.sheet;
    this.#showMode();
    if (strokes.isEmpty) {
      this.drawing = null;
      this.answer.showSeen(null);
      this.#show();
    }
    this.prepare();
  }

  async #prepareDrawing() {
    await pause(FRAME);
    const pixels = drawingToImage(this.sheet.strokes.ink(), this.model);
    if (!pixels || this.isPhoto) return;
    this.answer.showSeen(pixels);
    this.ask(() => this.#predictDrawing(pixels));
  }

  async #predictDrawing(pixels) {
    if (this.sheet.strokes.isEmpty || this.isPhoto) return;
    const [prediction] = await this.runtime.predict([pixels]);
    if (this.sheet.strokes.isEmpty || this.isPhoto) return;
    const isSame = this.drawing?.pixels.every((value, place) => value === pixels[place]);
    this.drawing = { pixels, prediction, corrected: isSame ? this.drawing.corrected : null };
    this.#show();
    this.speaker.say(sentence(this.model, prediction));
  }

  async #openPicture(file) {
    const number = ++this.pictures;
    this.find("looking").hidden = false;
    try {
      const { canvas, picture } = await openPhoto(file);
      const { problem, boxes, images } = await readInWorker(picture, this.model);
      if (number !== this.pictures) return;
      if (problem) throw new Trouble(problem);
      this.showTrouble(null);
      this.isPhoto = true;
      this.photo.show(canvas, boxes, images);
      this.photo.choose(0);
      this.#showMode();
      this.ask(() => this.#predictPhoto(number, images));
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      if (number === this.pictures) this.showTrouble(trouble);
    } finally {
      if (number === this.pictures) this.find("looking").hidden = true;
    }
  }

  async #predictPhoto(number, images) {
    if (number !== this.pictures || !this.isPhoto) return;
    const predictions = await this.runtime.predict(images);
    if (number !== this.pictures || !this.isPhoto) return;
    this.photo.answer(predictions);
    this.#show();
    this.speaker.say(this.photo.isWhole ? sentence(this.model, predictions[0]) : this.photo.sentence());
  }

  #backToDrawing() {
    this.pictures += 1;
    this.isPhoto = false;
    this.photo.hide();
    this.#showMode();
    this.#show();
    this.prepare();
    this.sheet.canvas.focus({ focusVisible: false });
  }

  #onKept(label) {
    if (this.isPhoto) this.photo.describe();
    this.showTrouble(null);
    this.speaker.sayNow(say("thanks", { label }));
  }

  #show() {
    const { subject } = this;
    if (this.isPhoto || !this.drawing) this.answer.showSeen(subject?.pixels ?? null);
    this.answer.show(subject?.prediction ?? null);
    this.why.describe();
    this.correction.describe();
  }

  #showMode() {
    const { find, isPhoto } = this;
    const { strokes } = this.sheet;
    for (const name of ["sheet", "undo", "redo", "clear", "keys"]) find(name).hidden = isPhoto;
    find("again").hidden = !isPhoto;
    find("stage").classList.toggle("photo", isPhoto);
    find("hint").classList.toggle("away", isPhoto || !strokes.isEmpty);
    find("undo").disabled = !strokes.canUndo;
    find("redo").disabled = !strokes.canRedo;
    find("clear").disabled = strokes.isEmpty;
  }

  /** Set all texts that are not in the page's own markup. */
  #describe() {
    const { classes, name, networks } = this.model;
    const count = networks.length;
    this.find("model").textContent = say(count === 1 ? "modelOne" : "model", { name, count });
    const isDigits = /^\d+$/.test(classes.join(""));
    const listed = classes.join(" ");
    const key = isDigits ? "inviteDigits" : listed.length <= 60 ? "invite" : "inviteMany";
    this.find("hint").querySelector("p").textContent = say(key, { classes: listed });
    this.find("ghost").toggleAttribute("hidden", !isDigits);
    if (this.isPhoto) this.photo.describe();
    this.answer.showSeen(this.subject?.pixels ?? null);
    this.why.reset();
    this.#show();
  }
}
