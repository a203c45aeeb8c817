/** What the browser remembers. Where it forbids that, or is full, nothing is remembered and nothing breaks. */

export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Whether it is remembered now. */
export function remember(key, text) {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

export function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // What cannot be read was never there.
  }
}
