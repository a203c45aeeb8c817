/** Euclidean distances (P. Felzenszwalb, D. Huttenlocher 2012, Distance transforms of sampled functions). */

import { emptyPlane, readLine } from "./raster.js";

const FAR = 1e12;

/** The distance of each set pixel of a mask to the nearest pixel that is not set, in pixels; 0 elsewhere. */
export function distanceWithin({ width, height, data }) {
  const squares = new Float64Array(data.length);
  for (let place = 0; place < data.length; place++) squares[place] = data[place] ? FAR : 0;
  const [row, column] = [roomFor(width), roomFor(height)];
  for (let x = 0; x < width; x++) lowerEnvelope(squares, x, width, column);
  for (let y = 0; y < height; y++) lowerEnvelope(squares, y * width, 1, row);
  const result = emptyPlane(width, height);
  for (let place = 0; place < data.length; place++) result.data[place] = Math.sqrt(squares[place]);
  return result;
}

function roomFor(length) {
  return { line: new Float64Array(length), roots: new Int32Array(length), bounds: new Float64Array(length + 1) };
}

/** Replace a line of values f by the minimum over q of (p − q)² + f(q). */
function lowerEnvelope(values, offset, stride, { line, roots, bounds }) {
  readLine(values, offset, stride, line);
  const { length } = line;
  roots[0] = 0;
  bounds[0] = -Infinity;
  bounds[1] = Infinity;
  let last = 0;
  for (let q = 1; q < length; q++) {
    let crossing;
    do {
      const root = roots[last];
      crossing = (line[q] + q * q - line[root] - root * root) / (2 * (q - root));
    } while (crossing <= bounds[last] && last-- > 0);
    last += 1;
    roots[last] = q;
    bounds[last] = crossing;
    bounds[last + 1] = Infinity;
  }
  for (let p = 0, piece = 0; p < length; p++) {
    while (bounds[piece + 1] < p) piece++;
    const away = p - roots[piece];
    values[offset + p * stride] = away * away + line[roots[piece]];
  }
}
