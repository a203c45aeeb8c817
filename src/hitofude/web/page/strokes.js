/** A drawing: strokes as vectors, so that they can be undone and drawn at any size. */

import { emptyPlane } from "./raster.js";

const BRUSH = 0.06;
/** The least and greatest width of a stroke, as shares of the brush; slow and firm strokes are wide. */
const [NARROW, WIDE] = [0.7, 1.2];
const SPEED = 0.14; // the share of the brush's width lost per sheet width a second
const INERTIA = 0.85;
const SEEN = 256; // width in pixels of the drawing that is prepared for a network

export class Strokes {
  /** aspect: the sheet's width by its height. The unit of points is the sheet's width. */
  constructor(aspect) {
    this.aspect = aspect;
    this.history = [[]]; // the strokes after each change; they are shared
    this.now = 0;
  }

  get done() {
    return this.history[this.now];
  }

  get canRedo() {
    return this.now < this.history.length - 1;
  }

  get canUndo() {
    return this.now > 0;
  }

  get isEmpty() {
    return this.done.length === 0;
  }

  begin(point) {
    this.#change([...this.done, [{ ...point, width: widthAt(point, 1) }]]);
  }

  /** point: {x, y, time in ms, pressure 0..1 or null} */
  extend(point) {
    const stroke = this.done.at(-1);
    const last = stroke.at(-1);
    const way = Math.hypot(point.x - last.x, point.y - last.y);
    if (way < 0.002) return;
    const speed = (1000 * way) / Math.max(point.time - last.time, 4);
    stroke.push({ ...point, width: INERTIA * last.width + (1 - INERTIA) * widthAt(point, speed) });
  }

  undo() {
    if (this.canUndo) this.now -= 1;
  }

  redo() {
    if (this.canRedo) this.now += 1;
  }

  /** Remove all strokes; undo() restores them. */
  clear() {
    if (!this.isEmpty) this.#change([]);
  }

  #change(strokes) {
    this.history.length = this.now + 1;
    this.now = this.history.push(strokes) - 1;
  }

  /** size: the sheet's width in pixels. */
  paint(context, size) {
    const brush = BRUSH * Math.min(1, 1 / this.aspect) * size;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.done) paintStroke(context, stroke, size, brush);
  }

  /** The ink as a plane of 0..1. */
  ink() {
    const width = this.aspect >= 1 ? SEEN : Math.round(SEEN * this.aspect);
    const height = Math.round(width / this.aspect);
    this.canvas ??= Object.assign(document.createElement("canvas"), { width, height });
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, width, height);
    this.paint(context, width);
    const { data } = context.getImageData(0, 0, width, height);
    const plane = emptyPlane(width, height);
    for (let place = 0; place < plane.data.length; place++) plane.data[place] = data[4 * place + 3] / 255;
    return plane;
  }
}

function widthAt({ pressure }, speed = 0) {
  if (pressure !== null) return NARROW + (WIDE - NARROW) * 1.4 * pressure;
  return Math.min(Math.max(WIDE - SPEED * speed, NARROW), WIDE);
}

/** Draw curves through the midpoints between the points, each as wide as the brush was there. */
function paintStroke(context, stroke, size, brush) {
  const middle = (i) => ({ x: (stroke[i - 1].x + stroke[i].x) / 2, y: (stroke[i - 1].y + stroke[i].y) / 2 });
  for (let i = 0; i < stroke.length; i++) {
    const start = i === 0 ? stroke[0] : middle(i);
    const end = i + 1 < stroke.length ? middle(i + 1) : stroke[i];
    context.beginPath();
    context.lineWidth = stroke[i].width * brush;
    context.moveTo(start.x * size, start.y * size);
    context.quadraticCurveTo(stroke[i].x * size, stroke[i].y * size, end.x * size, end.y * size);
    context.stroke();
  }
}
