/** Predictions of what changes faster than it can be predicted. */

/** What stands in the way of an answer. key: of words.js; wait: ms until it is worth asking again, or null. */
export class Trouble extends Error {
  constructor(key, values = {}, wait = null) {
    super(key);
    Object.assign(this, { key, values, wait });
  }
}

/**
 * ask(argument) calls `work` with it: one call at a time, after it the newest argument, those between are skipped.
 *
 * What fails for a while is asked again, or what is newer by then. onTrouble: told of each Trouble, and of null when
 * it is over; onBusy: whether there is something to do.
 */
export function newestOnly(work, { onTrouble, onBusy }) {
  let next = null;
  let isRunning = false;

  async function run() {
    while (next) {
      const asked = next;
      next = null;
      try {
        await work(asked.argument);
        onTrouble(null);
      } catch (trouble) {
        if (!(trouble instanceof Trouble)) throw trouble;
        onTrouble(trouble);
        if (trouble.wait === null) continue;
        await pause(trouble.wait);
        next ??= asked;
      }
    }
  }

  return async function ask(argument) {
    next = { argument };
    if (isRunning) return;
    isRunning = true;
    onBusy(true);
    try {
      await run();
    } finally {
      isRunning = false;
      onBusy(false);
    }
  };
}

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
