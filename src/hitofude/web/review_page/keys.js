/** Keys by their letters, whatever the keyboard's input method. */

/** "k" for K, also in capitals and while an input method is on; other keys by their names, such as ArrowLeft. */
export function keyOf(event) {
  const { key, code } = event;
  if (key.length === 1 && key.charCodeAt(0) < 128) return key.toLowerCase();
  const typed = /^(?:Key([A-Z])|Digit([0-9])|Numpad([0-9]))$/.exec(code);
  const isLatin = !typed || (key.length > 1 && key !== "Process");
  return isLatin ? key : (typed[1] ?? typed[2] ?? typed[3]).toLowerCase();
}
