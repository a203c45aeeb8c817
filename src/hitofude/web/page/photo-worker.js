/** Looks for digits beside the page, so that the page stays awake. */

import { readPhoto } from "./photo.js";

self.onmessage = ({ data: { picture, model } }) => {
  self.postMessage(readPhoto(picture, model));
};
