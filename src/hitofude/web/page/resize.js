/** Resizes planes as Pillow does: by convolution with a filter that is as wide as the reduction requires. */

import { emptyPlane } from "./raster.js";

const BOX = { reach: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const BILINEAR = { reach: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };
const BICUBIC = {
  reach: 2,
  weight(value) {
    const x = Math.abs(value);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  },
};
export const FILTERS = { box: BOX, bilinear: BILINEAR, bicubic: BICUBIC };

/** Resize a plane. filter: a name in FILTERS. */
export function resized(plane, width, height, filter) {
  const across = resizedRows(plane, weightsOf(plane.width, width, FILTERS[filter]));
  return resizedColumns(across, weightsOf(plane.height, height, FILTERS[filter]));
}

/** For each place of the result, the place where it starts to read, and the weights. */
function weightsOf(size, wanted, { reach, weight }) {
  const scale = size / wanted;
  const wide = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach * wide + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach * wide + 0.5), size);
    const weights = Array.from({ length: end - start }, (_, i) => weight((i + start - centre + 0.5) / wide));
    const sum = weights.reduce((total, one) => total + one, 0);
    return { start, weights: weights.map((one) => one / sum) };
  });
}

function resizedRows({ width, height, data }, places) {
  const result = emptyPlane(places.length, height);
  for (let y = 0; y < height; y++) {
    places.forEach(({ start, weights }, x) => {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * data[y * width + start + i];
      result.data[y * places.length + x] = sum;
    });
  }
  return result;
}

function resizedColumns({ width, data }, places) {
  const result = emptyPlane(width, places.length);
  places.forEach(({ start, weights }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * data[(start + i) * width + x];
      result.data[y * width + x] = sum;
    }
  });
  return result;
}
