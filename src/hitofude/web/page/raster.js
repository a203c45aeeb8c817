/**
 * Planes and masks: {width, height, data}, row by row; data is a Float32Array, or a Uint8Array of 0 and 1.
 *
 * Pictures are prepared as in Python's hitofude.inputs, module by module, so that a picture becomes the same images in
 * a browser and on the command line. A box is [top, left, bottom, right]; the end is exclusive.
 */

export function emptyPlane(width, height) {
  return { width, height, data: new Float32Array(width * height) };
}

export function emptyMask(width, height) {
  return { width, height, data: new Uint8Array(width * height) };
}

/** The mask of the values above a threshold. */
export function above({ width, height, data }, threshold) {
  const mask = emptyMask(width, height);
  for (let place = 0; place < data.length; place++) mask.data[place] = data[place] > threshold ? 1 : 0;
  return mask;
}

/** The complement of a mask. */
export function inverted({ width, height, data }) {
  const mask = emptyMask(width, height);
  for (let place = 0; place < data.length; place++) mask.data[place] = 1 - data[place];
  return mask;
}

/** Read a line of values, a stride apart, into `line`. */
export function readLine(values, offset, stride, line) {
  for (let place = 0, from = offset; place < line.length; place++, from += stride) line[place] = values[from];
}

/** The content of a box. */
export function cut({ width, data }, [top, left, bottom, right]) {
  const size = { width: right - left, height: bottom - top };
  const inner = new data.constructor(size.width * size.height);
  for (let y = top; y < bottom; y++) {
    inner.set(data.subarray(y * width + left, y * width + right), (y - top) * size.width);
  }
  return { ...size, data: inner };
}

/** Add a margin of zeros. */
export function padded({ width, height, data }, by) {
  const wide = width + 2 * by;
  const whole = new data.constructor(wide * (height + 2 * by));
  for (let y = 0; y < height; y++) whole.set(data.subarray(y * width, (y + 1) * width), (y + by) * wide + by);
  return { width: wide, height: height + 2 * by, data: whole };
}

/** Add a margin that repeats the edge. */
export function paddedByEdge({ width, height, data }, right, bottom, left = right, top = bottom) {
  const wide = left + width + right;
  const high = top + height + bottom;
  const whole = new data.constructor(wide * high);
  for (let y = 0; y < high; y++) {
    const row = Math.min(Math.max(y - top, 0), height - 1) * width;
    for (let x = 0; x < wide; x++) whole[y * wide + x] = data[row + Math.min(Math.max(x - left, 0), width - 1)];
  }
  return { width: wide, height: high, data: whole };
}

const SQUARE = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]];
const CROSS = [[-1, 0], [0, -1], [0, 1], [1, 0]];

/** Grow a mask by a pixel in all eight directions, or in four with `cross`. */
export function grown({ width, height, data }, cross = false) {
  const result = emptyMask(width, height);
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      if (!data[place]) continue;
      result.data[place] = 1;
      for (const [down, right] of cross ? CROSS : SQUARE) {
        const inside = y + down >= 0 && y + down < height && x + right >= 0 && x + right < width;
        if (inside) result.data[place + down * width + right] = 1;
      }
    }
  }
  return result;
}

/** The pixels of `weak` that are connected, in eight directions, to `strong`, which is part of it. */
export function propagated(strong, weak) {
  const { width, height } = weak;
  const result = { width, height, data: strong.data.slice() };
  const stack = [];
  for (let place = 0; place < strong.data.length; place++) if (strong.data[place]) stack.push(place);
  while (stack.length) {
    const place = stack.pop();
    const x = place % width;
    for (const [down, right] of SQUARE) {
      const next = place + down * width + right;
      if (x + right < 0 || x + right >= width || next < 0 || next >= weak.data.length) continue;
      if (!weak.data[next] || result.data[next]) continue;
      result.data[next] = 1;
      stack.push(next);
    }
  }
  return result;
}

/** The box around the set pixels; null if there are none. */
export function boxOf({ width, height, data }) {
  let [top, left, bottom, right] = [height, width, 0, 0];
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      if (!data[place]) continue;
      top = Math.min(top, y);
      left = Math.min(left, x);
      bottom = y + 1;
      right = Math.max(right, x + 1);
    }
  }
  return bottom ? [top, left, bottom, right] : null;
}

/** Round to the nearest whole number, halves to the even one, as Python and NumPy do. */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
