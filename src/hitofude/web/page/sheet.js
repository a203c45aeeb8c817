/** The sheet to draw on: turns mouse, touch, pen and keys into strokes. */

import { Strokes } from "./strokes.js";

const STEP = 1 / 24; // of the sheet's width, for an arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Sheet {
  /**
   * canvas: the sheet; pen: the mark at the keyboard pen's position. aspect: the sheet's width by its height.
   * onChange: called after every change; onPen: called with whether the keyboard pen is down.
   */
  constructor(canvas, pen, aspect, { onChange, onPen }) {
    Object.assign(this, { canvas, pen, onChange, onPen });
    this.strokes = new Strokes(aspect);
    this.context = canvas.getContext("2d");
    this.pointer = this.frame = null;
    this.keys = { x: 0.5, y: 0.5 / aspect, isDown: false, held: new Set() };
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#end(event));
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("keyup", ({ key }) => this.keys.held.delete(key));
    canvas.addEventListener("focus", () => this.#showPen(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.#leave());
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  undo() {
    this.strokes.undo();
    this.#lift();
  }

  redo() {
    this.strokes.redo();
    this.#lift();
  }

  clear() {
    this.strokes.clear();
    this.#lift();
  }

  /** Lift both pens, because the stroke that they were drawing may be gone. */
  #lift() {
    this.pointer = null;
    this.keys.isDown = false;
    this.pen.classList.remove("down");
    this.repaint();
    this.onChange();
  }

  /** Draw all strokes again, also after a change of colours. */
  repaint() {
    const { canvas, context } = this;
    cancelAnimationFrame(this.frame);
    this.frame = null;
    context.strokeStyle = getComputedStyle(canvas).color;
    context.clearRect(0, 0, canvas.width, canvas.height);
    this.strokes.paint(context, canvas.width);
  }

  /** Give the canvas as many pixels as the screen has. */
  #fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    if (!width) return;
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    this.repaint();
  }

  #begin(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#showPen(false);
    this.strokes.begin(this.#point(event));
    this.#grow();
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    const coalesced = event.getCoalescedEvents?.() ?? [];
    for (const one of coalesced.length ? coalesced : [event]) this.strokes.extend(this.#point(one));
    this.#grow();
  }

  #end(event) {
    if (event.pointerId !== this.pointer) return;
    this.#lift();
  }

  /** Paint more ink with the next frame, however many events come before it. */
  #grow() {
    this.frame ??= requestAnimationFrame(() => this.repaint());
    this.onChange();
  }

  #point(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? event.pressure : null;
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / width, time: event.timeStamp, pressure };
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) {
      this.keys.held.add(event.key);
      this.#step();
    } else if (event.key === " ") {
      if (!event.repeat) this.#lower(!this.keys.isDown);
    } else return;
    event.preventDefault();
  }

  #lower(isDown) {
    if (isDown && this.pointer !== null) return;
    this.keys.isDown = isDown;
    this.#showPen(true);
    this.onPen(isDown);
    if (!isDown) return;
    this.strokes.begin(this.#keyPoint());
    this.#grow();
  }

  /** Two arrows held together move the pen diagonally. */
  #step() {
    const { keys } = this;
    const highest = 1 / this.strokes.aspect;
    for (const key of keys.held) {
      keys.x = Math.min(Math.max(keys.x + ARROWS[key][0] * STEP, 0), 1);
      keys.y = Math.min(Math.max(keys.y + ARROWS[key][1] * STEP, 0), highest);
    }
    this.#showPen(true);
    if (!keys.isDown) return;
    this.strokes.extend(this.#keyPoint());
    this.#grow();
  }

  #keyPoint() {
    return { x: this.keys.x, y: this.keys.y, time: performance.now(), pressure: 0.6 };
  }

  #showPen(isShown) {
    const { pen, keys } = this;
    pen.hidden = !isShown;
    pen.classList.toggle("down", keys.isDown);
    pen.style.left = `${100 * keys.x}%`;
    pen.style.top = `${100 * keys.y * this.strokes.aspect}%`;
  }

  #leave() {
    this.keys.held.clear();
    this.keys.isDown = false;
    this.#showPen(false);
  }
}
