/** Quantiles of large arrays, without sorting them. */

/**
 * The value below which a share of the values lies, interpolated as by NumPy's default.
 *
 * values: a typed array of at least one number; their order changes.
 */
export function quantileOf(values, share) {
  const place = share * (values.length - 1);
  const low = Math.floor(place);
  const first = select(values, low);
  if (place === low) return first;
  let second = Infinity;
  for (let i = low + 1; i < values.length; i++) if (values[i] < second) second = values[i];
  return first + (second - first) * (place - low);
}

/** The value that would be at a place if the array were sorted; smaller ones are then before it (Hoare 1961). */
function select(values, place) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      [values[i], values[j]] = [values[j], values[i]];
      i++;
      j--;
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return values[place];
}
