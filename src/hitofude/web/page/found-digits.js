/**
 * Connected components become digits: strokes are joined, noise and frames left out, in reading order. See
 * hitofude/inputs/photos/found_digits.py, which explains each constant.
 */

import { componentsOf } from "./components.js";
import { emptyMask } from "./raster.js";

const MIN_DIGIT_HEIGHT = 6;
const STROKE_HEIGHT = 0.4;
const NOISE_SIZE = 0.12;
const [STROKE_GAP, BREAK_GAP, BREAK_OVERLAP] = [0.25, 0.1, 0.3];
const MIN_COLUMN_OVERLAP = 0.4;
const MAX_CUT_SIZE = 1.6;
const FRAMED_HEIGHT = 0.3;
const MAX_COMPONENTS = 3000;
const MAX_FRAMES = 50;
const MIN_LINE_OVERLAP = 0.4;

const heightOf = ([top, , bottom]) => bottom - top;
const widthOf = ([, left, , right]) => right - left;
const sizeOf = (box) => Math.max(heightOf(box), widthOf(box));

/** mask → [{box, mask}], the mask cut to the box, in reading order: lines from the top, each from the left. */
export function findDigits(mask) {
  const { labels, boxes } = componentsOf(mask);
  const kept = withoutNoise(boxes, withoutFramesAndBackground(boxes, mask));
  const groups = groupIntoDigits(kept.map((row) => boxes[row]));
  const digits = groups.map((group) => digitOf(labels, mask.width, group.map((place) => kept[place]), boxes));
  const high = digits.filter(({ box }) => heightOf(box) >= MIN_DIGIT_HEIGHT);
  return readingOrder(high.map(({ box }) => box)).map((number) => high[number]);
}

/** Rows without frames around other components, and without large ones that the picture's edge cuts. */
function withoutFramesAndBackground(boxes, { width, height }) {
  const largest = [...boxes.keys()].sort((a, b) => areaOf(boxes[b]) - areaOf(boxes[a])).slice(0, MAX_FRAMES);
  const frames = new Set(largest.filter((row) => isFrame(boxes[row], boxes)));
  const rows = [...boxes.keys()].filter((row) => !frames.has(row));
  const isCut = ([top, left, bottom, right]) => top === 0 || left === 0 || bottom === height || right === width;
  const usual = digitHeight(rows.map((row) => boxes[row]).filter((box) => !isCut(box)));
  if (usual < MIN_DIGIT_HEIGHT) return rows;
  return rows.filter((row) => !isCut(boxes[row]) || sizeOf(boxes[row]) <= MAX_CUT_SIZE * usual);
}

function areaOf(box) {
  return heightOf(box) * widthOf(box);
}

function isFrame([top, left, bottom, right], boxes) {
  const least = FRAMED_HEIGHT * (bottom - top);
  const isWithin = (box) => box[0] > top && box[1] > left && box[2] < bottom && box[3] < right;
  return boxes.some((box) => isWithin(box) && heightOf(box) >= least);
}

function withoutNoise(boxes, rows) {
  const highest = [...rows].sort((a, b) => heightOf(boxes[b]) - heightOf(boxes[a])).slice(0, MAX_COMPONENTS);
  const least = Math.max(NOISE_SIZE * digitHeight(highest.map((row) => boxes[row])), 2);
  return highest.filter((row) => sizeOf(boxes[row]) >= least).sort((a, b) => a - b);
}

/** The median height, weighted by the height squared: a digit's, however much noise there is. */
function digitHeight(boxes) {
  const heights = boxes.map(heightOf).sort((a, b) => a - b);
  const half = heights.reduce((total, height) => total + height ** 2, 0) / 2;
  let weight = 0;
  return heights.find((height) => (weight += height ** 2) >= half) ?? 0;
}

/** Groups of indices in `boxes`, each of one digit. A stroke without a digit is left out. */
function groupIntoDigits(boxes) {
  const usual = digitHeight(boxes);
  const isStroke = boxes.map((box) => heightOf(box) < STROKE_HEIGHT * usual);
  const parent = [...boxes.keys()];
  const whole = parent.filter((place) => !isStroke[place]);
  for (const first of whole) {
    for (const second of whole) {
      if (second <= first || !areHalves(boxes[first], boxes[second], usual)) continue;
      const [from, to] = [parent[second], parent[first]];
      if (from !== to) parent.forEach((root, place) => root === from && (parent[place] = to));
    }
  }
  for (const stroke of boxes.keys()) {
    if (isStroke[stroke]) parent[stroke] = parent[nearest(boxes, stroke, whole, STROKE_GAP * usual)] ?? -1;
  }
  const groups = new Map();
  parent.forEach((root, place) => root >= 0 && groups.set(root, [...(groups.get(root) ?? []), place]));
  return [...groups.keys()].sort((a, b) => a - b).map((root) => groups.get(root));
}

function areHalves(first, second, usual) {
  const gap = gapBetween(first, second);
  return gap <= BREAK_GAP * usual && gap >= -BREAK_OVERLAP * usual && overlap(first, second);
}

/** The nearest of the digits that are over or under a stroke; −1 if there is none. */
function nearest(boxes, stroke, whole, most) {
  let [best, least] = [-1, Infinity];
  for (const place of whole) {
    const gap = gapBetween(boxes[stroke], boxes[place]);
    if (gap <= most && gap < least && overlap(boxes[stroke], boxes[place])) [best, least] = [place, gap];
  }
  return best;
}

function gapBetween(first, second) {
  return Math.max(first[0], second[0]) - Math.min(first[2], second[2]);
}

function overlap(first, second) {
  const across = Math.min(first[3], second[3]) - Math.max(first[1], second[1]);
  return across >= MIN_COLUMN_OVERLAP * Math.min(widthOf(first), widthOf(second));
}

function digitOf(labels, width, rows, boxes) {
  const own = rows.map((row) => boxes[row]);
  const least = (side) => Math.min(...own.map((box) => box[side]));
  const most = (side) => Math.max(...own.map((box) => box[side]));
  const box = [least(0), least(1), most(2), most(3)];
  const mask = emptyMask(widthOf(box), heightOf(box));
  const numbers = new Set(rows.map((row) => row + 1));
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      mask.data[y * mask.width + x] = numbers.has(labels[(box[0] + y) * width + box[1] + x]) ? 1 : 0;
    }
  }
  return { box, mask };
}

/** Each digit joins the line whose last digit is beside it, so that a line may rise or fall. */
function readingOrder(boxes) {
  const lines = [];
  for (const row of [...boxes.keys()].sort((a, b) => boxes[a][1] - boxes[b][1])) {
    let [best, most] = [null, MIN_LINE_OVERLAP];
    for (const line of lines) {
      const [own, last] = [boxes[row], boxes[line.at(-1)]];
      const shared = Math.min(own[2], last[2]) - Math.max(own[0], last[0]);
      const share = shared / Math.min(heightOf(own), heightOf(last));
      if (share > most) [best, most] = [line, share];
    }
    if (best) best.push(row);
    else lines.push([row]);
  }
  const middle = (line) => line.reduce((sum, row) => sum + boxes[row][0] + boxes[row][2], 0) / line.length;
  return lines.sort((a, b) => middle(a) - middle(b)).flat();
}
