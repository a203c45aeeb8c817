/** Looks for digits in a worker, so that the page stays responsive. */

import { readPhoto } from "./photo.js";

self.onmessage = ({ data: { picture, model } }) => {
  self.postMessage(readPhoto(picture, model));
};
