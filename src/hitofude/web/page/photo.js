/** Turns a photo into small images of its digits that look like training images; see hitofude/inputs/photos/photo.py. */

import { findDigits } from "./found-digits.js";
import { findInk, isGrey } from "./ink.js";
import { toImage } from "./mnist-format.js";
import { quantileOf } from "./order.js";
import { cut } from "./raster.js";
import { resized } from "./resize.js";

const MAX_DIGITS = 1000;
const MAX_ASPECT = 100;
const FLAT = 16; // the contrast divided by this is the most that the ground varies

/**
 * picture: {width, height, data}, four bytes a pixel, as in a canvas. model: {image_shape, look, reads_writing},
 * of which look is that of the training images, see hitofude/inputs/look.py.
 * Returns {boxes, images}, the images Uint8Arrays of the shape; or {problem}: "strip", "nothing" or "many".
 *
 * For a model that does not read writing, the whole picture is resized.
 */
export function readPhoto(picture, model) {
  const { image_shape: shape, look } = model;
  const [, height, width] = shape;
  const whole = [[0, 0, picture.height, picture.width]];
  if (!model.reads_writing) return { boxes: whole, images: [resizedToShape(laidOn(picture, look.behind), shape)] };
  if (picture.width === width && picture.height === height) {
    const laid = laidOn(picture, look.behind);
    if (looksLikeTraining(laid, look)) return { boxes: whole, images: [channelOf(laid, 0)] };
  }
  const opaque = onBackground(picture);
  const [short, long] = [picture.width, picture.height].sort((a, b) => a - b);
  if (long > MAX_ASPECT * short) return { problem: "strip" };
  const ink = findInk(opaque);
  const digits = ink ? findDigits(ink.mask) : [];
  if (!digits.length) return { problem: "nothing" };
  if (digits.length > MAX_DIGITS) return { problem: "many" };
  const images = digits.map(({ box, mask }) => toImage(cut(ink.contrast, box), mask, [height, width], look));
  return { boxes: digits.map(({ box }) => box), images };
}

/**
 * The picture with an opaque background behind its transparent pixels. If most of it is opaque, that is paper, and the
 * background has its colour; else it is ink, on the more distant of black and white. See
 * hitofude/inputs/photos/photo_file.py.
 */
export function onBackground({ width, height, data }) {
  const opaque = [];
  let isWhole = true;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 127) opaque.push(i);
    if (data[i + 3] < 255) isWhole = false;
  }
  if (isWhole) return { width, height, data };
  return onColour({ width, height, data }, backgroundFor(data, opaque, width * height));
}

/** The picture with a grey behind its transparent pixels, as in a folder of training pictures. */
function laidOn(picture, grey) {
  return onColour(picture, [grey, grey, grey]);
}

function onColour({ width, height, data }, background) {
  const flat = new Uint8Array(data.length).fill(255);
  for (let i = 0; i < data.length; i++) {
    const channel = i % 4;
    if (channel === 3) continue;
    const opacity = data[i - channel + 3] / 255;
    flat[i] = Math.round(background[channel] + (data[i] - background[channel]) * opacity);
  }
  return { width, height, data: flat };
}

function backgroundFor(data, opaque, pixels) {
  if (!opaque.length) return [255, 255, 255];
  const channels = [0, 1, 2].map((channel) => Uint8Array.from(opaque, (i) => data[i + channel]));
  if (opaque.length > pixels / 2) return channels.map((values) => quantileOf(values, 0.5));
  const sum = channels.reduce((total, values) => total + values.reduce((channelSum, value) => channelSum + value, 0), 0);
  return new Array(3).fill(sum / (3 * opaque.length) < 128 ? 255 : 0);
}

/** Uint8Array (channels · height · width) */
function resizedToShape(picture, [channels, height, width]) {
  const image = new Uint8Array(channels * height * width);
  for (let channel = 0; channel < channels; channel++) {
    const values = channels === 1 ? brightnessOf(picture) : Float32Array.from(channelOf(picture, channel));
    const plane = { width: picture.width, height: picture.height, data: values };
    const small = resized(plane, width, height, "bicubic").data;
    image.set(small.map((value) => Math.min(Math.max(Math.round(value), 0), 255)), channel * height * width);
  }
  return image;
}

/** Luma by ITU-R BT.601, as Pillow computes it. */
function brightnessOf(picture) {
  const [red, green, blue] = [0, 1, 2].map((channel) => channelOf(picture, channel));
  const brightness = (value, place) => Math.round(0.299 * value + 0.587 * green[place] + 0.114 * blue[place]);
  return Float32Array.from(red, brightness);
}

function channelOf({ data }, channel) {
  const values = new Uint8Array(data.length / 4);
  for (let place = 0; place < values.length; place++) values[place] = data[4 * place + channel];
  return values;
}

/** Whether a picture of the images' size looks like one: grey, the ground at its edge, and ink. See look.py. */
function looksLikeTraining(picture, { ground, ink, edge: leastEdge }) {
  if (!isGrey(picture)) return false;
  const { width, height } = picture;
  const distances = Array.from(channelOf(picture, 0), (value) => Math.abs(value - ground));
  const contrast = Math.abs(ink - ground);
  const [rows, columns] = [[...Array(height).keys()], [...Array(width).keys()]];
  const edge = [
    ...columns.flatMap((x) => [distances[x], distances[(height - 1) * width + x]]),
    ...rows.flatMap((y) => [distances[y * width], distances[y * width + width - 1]]),
  ];
  const even = edge.filter((distance) => distance * FLAT < contrast).length / edge.length;
  return even > leastEdge && 2 * Math.max(...distances) >= contrast;
}
