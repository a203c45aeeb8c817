/** Work on input that changes faster than the work can be done. */

/** A problem to show to the user. key: in words.js; wait: ms until another attempt may succeed, or null. */
export class Trouble extends Error {
  constructor(key, values = {}, wait = null) {
    super(key);
    Object.assign(this, { key, values, wait });
  }
}

/**
 * Returns ask(argument), which calls `work` with it: one call at a time, then the newest argument; those between are
 * skipped.
 *
 * After a temporary Trouble the work is tried again, with a newer argument if there is one. onTrouble: called with each
 * Trouble, and with null when it is over; onBusy: called with whether there is work to do.
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
