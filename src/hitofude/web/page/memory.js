/** The browser's storage. If it is forbidden or full, nothing is stored and nothing breaks. */

export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Store a text; return whether that succeeded. */
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
    // A browser that forbids storage has nothing to remove.
  }
}
