/**
 * Turns one digit into a small image, made as MNIST's images were, with the ground, ink and box of the training images;
 * see hitofude/inputs/photos/mnist_format.py.
 *
 * The digit is scaled to fit the box, and its centre of mass is placed in the middle. Strokes thinner than those of
 * MNIST's pens are made thicker first.
 */

import { distanceWithin } from "./distance.js";
import { quantileOf } from "./order.js";
import { above, boxOf, cut, grown, inverted, padded, roundHalfEven } from "./raster.js";
import { resized } from "./resize.js";

const STROKE = 2.5 / 20;
const WORKING_SIDE = 100;
const FULL_QUANTILE = 0.75;
const EDGE = 0.4;

/**
 * contrast, mask: plane and mask of one digit, without a margin. [height, width]: the image's. look: of the training
 * images, {ground, ink, box}: the greys, and the digit's longer side as a share of the image's.
 * Returns the image, a Uint8Array (height · width).
 */
export function toImage(contrast, mask, [height, width], look) {
  const strokes = padded(strokesOf(contrast, mask), WORKING_SIDE / 4);
  const soft = distanceWithin(strokes);
  const outside = distanceWithin(inverted(strokes)).data;
  let [ink, distances] = [0, 0];
  for (let i = 0; i < outside.length; i++) [ink, distances] = [ink + strokes.data[i], distances + soft.data[i]];
  const across = 4 * (distances / ink) - 2; // across a stroke the distances from its edges rise and fall linearly
  const thicker = Math.max(STROKE * WORKING_SIDE - across, 0) / (2 * (1 - STROKE));
  for (let i = 0; i < outside.length; i++) soft.data[i] = clipped(soft.data[i] - outside[i] + thicker + 0.5);
  return placed(reduced(cut(soft, boxOf(above(soft, 0.5))), height, width, look.box), height, width, look);
}

/** The digit in black and white, at its working size. */
function strokesOf(contrast, mask) {
  const own = grown(padded(mask, 1)).data;
  const full = quantileOf(contrast.data.filter((_, place) => mask.data[place]), FULL_QUANTILE);
  const ink = padded(contrast, 1);
  for (let i = 0; i < own.length; i++) ink.data[i] = own[i] * clipped(ink.data[i] / full);
  const scale = WORKING_SIDE / Math.max(mask.width, mask.height);
  return above(resized(ink, scaled(ink.width, scale), scaled(ink.height, scale), "bicubic"), EDGE);
}

/** Reduce the digit to fit the box, a share of the image; each pixel is the mean of the area that it covers. */
function reduced(soft, height, width, box) {
  const scale = Math.min((box * height) / soft.height, (box * width) / soft.width);
  return resized(soft, scaled(soft.width, scale), scaled(soft.height, scale), "box");
}

/** Place the digit with its centre of mass in the middle, but within the image. */
function placed(soft, height, width, { ground, ink }) {
  const [middle, centre] = centreOfMass(soft);
  const top = start(height, middle, soft.height);
  const left = start(width, centre, soft.width);
  const image = new Uint8Array(height * width).fill(ground);
  soft.data.forEach((value, place) => {
    const y = top + Math.floor(place / soft.width);
    image[y * width + left + (place % soft.width)] = roundHalfEven(ground + (ink - ground) * value);
  });
  return image;
}

function start(whole, middle, size) {
  return Math.min(Math.max(roundHalfEven((whole - 1) / 2 - middle), 0), whole - size);
}

function centreOfMass({ width, data }) {
  let [sum, down, right] = [0, 0, 0];
  data.forEach((value, place) => {
    sum += value;
    down += value * Math.floor(place / width);
    right += value * (place % width);
  });
  return [down / sum, right / sum];
}

function scaled(size, scale) {
  return Math.max(1, roundHalfEven(size * scale));
}

function clipped(value) {
  return Math.min(Math.max(value, 0), 1);
}

/** Repeat grey values in each channel: the shape [channels, height, width]. */
export function inChannels(image, channels) {
  const all = new Uint8Array(channels * image.length);
  for (let channel = 0; channel < channels; channel++) all.set(image, channel * image.length);
  return all;
}

/** A drawing's ink (plane, 0..1) as an image for a model {image_shape, look}; null if there is no ink. */
export function drawingToImage(ink, { image_shape: [channels, height, width], look }) {
  const mask = above(ink, 0.5);
  const box = boxOf(mask);
  return box && inChannels(toImage(cut(ink, box), cut(mask, box), [height, width], look), channels);
}
