/** Finds ink, darker or lighter than its background, under uneven light; see hitofude/inputs/photos/ink.py. */

import { quantileOf } from "./order.js";
import { above, cut, emptyPlane, grown, paddedByEdge, propagated, readLine, roundHalfEven } from "./raster.js";
import { resized } from "./resize.js";

const REDUCED_SIDE = 256;
const MAX_STROKE = 0.4;
const MIN_LIGHT = 0.03;
const MIN_CONTRAST = 0.06;
const MIN_DEVIATIONS = 6;
const WEAK_SHARE = 0.5;

/**
 * picture: {width, height, data}; data: red, green, blue and an opaque alpha of each pixel.
 * Returns {contrast, mask}, or null if there is nothing but background.
 */
export function findInk(picture) {
  const contrast = contrastOf(picture);
  const values = contrast.data;
  const low = quantileOf(values.slice(), 0.05);
  const quarter = quantileOf(values.slice(), 0.25);
  const noise = quarter - low; // in a normal distribution these are 0.97 deviations apart, whatever the amount of ink
  const background = quarter + 0.67 * noise;
  for (let place = 0; place < values.length; place++) values[place] = Math.max(values[place] - background, 0);
  const floor = Math.max(MIN_DEVIATIONS * noise, MIN_CONTRAST);
  const clear = above(contrast, floor);
  if (!clear.data.includes(1)) return null;
  const around = grown(grown(clear, true), true).data;
  const threshold = Math.max(otsu(values.filter((_, place) => around[place])), floor);
  const weak = above(contrast, Math.max(WEAK_SHARE * threshold, floor));
  return { contrast, mask: propagated(above(contrast, threshold), weak) };
}

/** Each pixel's difference from its background, as if the light were everywhere that of most of the background. */
function contrastOf(picture) {
  const { width, height } = picture;
  const channels = isGrey(picture) ? [0] : [0, 1, 2];
  const differences = channels.map((channel) => difference(channelOf(picture, channel)));
  const energies = differences.map(energyOf);
  const whole = energies.reduce((total, energy) => total + energy, 0);
  const contrast = emptyPlane(width, height);
  differences.forEach((values, channel) => {
    const weight = energies[channel] / whole;
    for (let i = 0; i < values.length; i++) contrast.data[i] += weight * values[i];
  });
  return contrast;
}

/** Whether red, green and blue are equal everywhere. */
export function isGrey({ data }) {
  for (let i = 0; i < data.length; i += 4) if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}

function channelOf({ width, height, data }, channel) {
  const plane = emptyPlane(width, height);
  for (let i = 0; i < plane.data.length; i++) plane.data[i] = data[4 * i + channel] / 255;
  return plane;
}

/** A typed array of differences from the background, with the light divided out; ink is above 0. */
function difference(plane) {
  const [background, sign] = backgroundOf(plane);
  const usual = quantileOf(background.data.slice(), 0.5) + MIN_LIGHT;
  return plane.data.map((value, i) => (sign * (value - background.data[i]) * usual) / (background.data[i] + MIN_LIGHT));
}

function energyOf(values) {
  let sum = 0;
  for (const value of values) if (value > 0) sum += value * value;
  return sum / values.length + 1e-12;
}

/** The more even one of two backgrounds, and whether ink is darker (−1) or lighter (1) than it. */
function backgroundOf(plane) {
  const { width, height } = plane;
  const step = Math.ceil(Math.max(width, height) / REDUCED_SIDE);
  const small = reduced(plane, step);
  const window = Math.max(3, roundHalfEven(MAX_STROKE * Math.min(small.width, small.height)) | 1);
  const wide = paddedByEdge(small, window, window);
  const inner = [window, window, window + small.height, window + small.width];
  const closed = cut(erosion(dilation(wide, window), window), inner);
  const opened = cut(dilation(erosion(wide, window), window), inner);
  const [found, sign] = unevenness(closed) <= unevenness(opened) ? [closed, -1] : [opened, 1];
  const smooth = blurred(found, window / 12);
  const whole = resized(smooth, small.width * step, small.height * step, "bilinear");
  return [cut(whole, [0, 0, height, width]), sign];
}

/** The change from pixel to pixel. The wrong background has edges where ink is; shadows are in both. */
function unevenness({ width, height, data }) {
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    if ((i + 1) % width) sum += (data[i + 1] - data[i]) ** 2;
    if (i + width < width * height) sum += (data[i + width] - data[i]) ** 2;
  }
  return sum;
}

/** Means of squares of step × step pixels; squares that reach beyond the edge repeat it. */
function reduced(plane, step) {
  if (step === 1) return plane;
  const missing = (size) => (step - (size % step)) % step;
  const { width, height, data } = paddedByEdge(plane, missing(plane.width), missing(plane.height), 0, 0);
  const small = emptyPlane(width / step, height / step);
  const sums = new Float64Array(small.data.length);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / step) * small.width;
    for (let x = 0; x < width; x++) sums[row + Math.floor(x / step)] += data[y * width + x];
  }
  sums.forEach((sum, place) => (small.data[place] = sum / (step * step)));
  return small;
}

function erosion(plane, window) {
  const negative = (values) => values.map((value) => -value);
  const result = dilation({ ...plane, data: negative(plane.data) }, window);
  return { ...result, data: negative(result.data) };
}

/** The maximum in a square around each pixel; window: its side, an odd number. */
function dilation({ width, height, data }, window) {
  const result = { width, height, data: data.slice() };
  const [row, column] = [new Float32Array(width), new Float32Array(height)];
  for (let y = 0; y < height; y++) dilationOfLine(result.data, y * width, 1, row, window >> 1);
  for (let x = 0; x < width; x++) dilationOfLine(result.data, x, width, column, window >> 1);
  return result;
}

/** The maximum from `reach` before to `reach` behind each place of a line, in linear time. */
function dilationOfLine(values, offset, stride, line, reach) {
  readLine(values, offset, stride, line);
  const { length } = line;
  const queue = new Int32Array(length); // places of decreasing values, the maximum first
  let [first, last] = [0, 0];
  for (let next = 0; next < length + reach; next++) {
    if (next < length) {
      while (last > first && line[queue[last - 1]] <= line[next]) last--;
      queue[last++] = next;
    }
    const place = next - reach;
    if (place < 0) continue;
    while (queue[first] < place - reach) first++;
    values[offset + place * stride] = line[queue[first]];
  }
}

/** A Gaussian blur, up to four deviations, mirrored at the edges. */
function blurred(plane, deviation) {
  const reach = Math.trunc(4 * deviation + 0.5);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp((-0.5 * (i - reach) ** 2) / deviation ** 2));
  const sum = kernel.reduce((total, one) => total + one, 0);
  const weights = kernel.map((one) => one / sum);
  const { width, height, data } = plane;
  const result = { width, height, data: data.slice() };
  const [row, column] = [width, height].map((length) => new Float32Array(length + 2 * reach));
  for (let x = 0; x < width; x++) blurLine(result.data, x, width, column, weights);
  for (let y = 0; y < height; y++) blurLine(result.data, y * width, 1, row, weights);
  return result;
}

/** wide: a buffer for the line and its mirrored ends. */
function blurLine(values, offset, stride, wide, weights) {
  const reach = weights.length >> 1;
  const length = wide.length - 2 * reach;
  readLine(values, offset, stride, wide.subarray(reach, reach + length));
  for (let i = 1; i <= reach; i++) {
    wide[reach - i] = wide[reach + mirrored(-i, length)];
    wide[reach + length - 1 + i] = wide[reach + mirrored(length - 1 + i, length)];
  }
  for (let place = 0; place < length; place++) {
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * wide[place + i];
    values[offset + place * stride] = sum;
  }
}

function mirrored(place, length) {
  const within = ((place % (2 * length)) + 2 * length) % (2 * length);
  return within < length ? within : 2 * length - 1 - within;
}

/** The threshold that splits the values into the two groups farthest apart (N. Otsu 1979). */
function otsu(values) {
  const BINS = 256;
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const counts = new Float64Array(BINS);
  for (const value of values) counts[Math.min(Math.floor(((value - low) / (high - low)) * BINS), BINS - 1)]++;
  const middle = (bin) => low + ((bin + 0.5) / BINS) * (high - low);
  const all = counts.reduce((total, count, bin) => total + count * middle(bin), 0);
  let [best, most, below, sum] = [middle(0), -1, 0, 0];
  for (let bin = 0; bin < BINS - 1; bin++) {
    below += counts[bin];
    sum += counts[bin] * middle(bin);
    const rest = values.length - below;
    if (!below || !rest) continue;
    const apart = below * rest * (sum / below - (all - sum) / rest) ** 2;
    if (apart > most) [best, most] = [middle(bin), apart];
  }
  return best;
}
