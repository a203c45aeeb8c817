/** Connected components of a mask. */

/**
 * mask → {labels, boxes}: the number of each pixel's component, from 1 in the order of their first pixels, 0 for
 * none; and each component's box. Pixels that touch at a corner are connected.
 */
export function componentsOf({ width, height, data }) {
  const labels = new Int32Array(width * height);
  const parents = [0];
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      if (data[place]) labels[place] = joined(parents, neighbours(labels, place, x, y, width));
    }
  }
  return numbered(labels, parents, width);
}

/** The labels of the neighbours that come before a pixel: to the left, and in the line above. */
function neighbours(labels, place, x, y, width) {
  const found = [];
  const add = (label) => label && found.push(label);
  if (x > 0) add(labels[place - 1]);
  if (y === 0) return found;
  if (x > 0) add(labels[place - width - 1]);
  add(labels[place - width]);
  if (x < width - 1) add(labels[place - width + 1]);
  return found;
}

/** Join the labels into one component and return the least; return a new label if there are none. */
function joined(parents, found) {
  if (!found.length) return parents.push(parents.length) - 1;
  const roots = found.map((label) => rootOf(parents, label));
  const least = Math.min(...roots);
  for (const root of roots) parents[root] = least;
  return least;
}

function rootOf(parents, label) {
  while (parents[label] !== label) {
    parents[label] = parents[parents[label]];
    label = parents[label];
  }
  return label;
}

function numbered(labels, parents, width) {
  const numbers = new Int32Array(parents.length);
  const boxes = [];
  for (let place = 0; place < labels.length; place++) {
    if (!labels[place]) continue;
    const [x, y] = [place % width, Math.floor(place / width)];
    const root = rootOf(parents, labels[place]);
    if (!numbers[root]) numbers[root] = boxes.push([y, x, y + 1, x + 1]);
    labels[place] = numbers[root];
    const box = boxes[labels[place] - 1];
    box[1] = Math.min(box[1], x);
    box[2] = y + 1;
    box[3] = Math.max(box[3], x + 1);
  }
  return { labels, boxes };
}
