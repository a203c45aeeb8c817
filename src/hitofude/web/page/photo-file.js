/** Opens a picture's file in the browser: upright by its EXIF orientation, and reduced if it is large. */

import { Trouble } from "./newest.js";

const LONGEST = 2000; // pixels

/** blob → {canvas, picture: {width, height, data}}. Throws Trouble if the blob is no picture. */
export async function openPhoto(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    throw new Trouble("unreadable");
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { canvas, picture: { width, height, data } };
}

/** Do readPhoto of photo.js in a worker. */
export function readInWorker(picture, model) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("photo-worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = () => {
      worker.terminate();
      reject(new Trouble("unreadable"));
    };
    worker.postMessage({ picture, model });
  });
}
