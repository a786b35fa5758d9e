// Waiting for a condition, never for a time: a test that needs something asks for it until a deadline.
//
// The deadline is there to say what did not come, not to judge how fast it came: it leaves room for a machine that has
// stood still for many seconds.

/** How long everything of the harness waits that is told nothing else. */
export const patienceMs = 60_000;

/** What of the deadline one turn of this process can take: a time in which it stood still does not count. */
const mostOfATurnMs = 5000;

// As it is when this is loaded: a test may set the clock that everybody sees.
const monotonicMs = performance.now.bind(performance);

/** @param {number} ms @returns {Promise<void>} */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Thrown by a condition that can't come true any more: ends waitFor at once. */
export class Hopeless extends Error {}

/**
 * Polls `condition` until it gives a truthy value, and returns that value.
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {{timeoutMs?: number, everyMs?: number, what?: string | (() => string)}} [options] `what` goes into the error.
 * @returns {Promise<NonNullable<T>>}
 */
export async function waitFor(condition, { timeoutMs = patienceMs, everyMs = 20, what = String(condition) } = {}) {
  let spentMs = 0;
  let turnedAt = monotonicMs();
  const count = () => {
    const now = monotonicMs();
    spentMs += Math.min(now - turnedAt, mostOfATurnMs);
    turnedAt = now;
  };
  // Also while a look is waiting for its answer.
  const counting = setInterval(count, 1000).unref();
  try {
    /** @type {any} */
    let lastError;
    for (;;) {
      try {
        const value = await condition();
        if (value) return value;
        lastError = undefined;
      } catch (error) {
        lastError = error;
      }
      count();
      const hopeless = lastError instanceof Hopeless;
      if (hopeless || spentMs >= timeoutMs) {
        const text = typeof what === 'function' ? what() : what;
        const why = hopeless ? lastError.message : `not within ${timeoutMs} ms`;
        throw new Error(`${why}: ${text}`, lastError === undefined ? {} : { cause: lastError });
      }
      await pause(everyMs);
    }
  } finally {
    clearInterval(counting);
  }
}

/**
 * Runs `check`, which asserts, again and again until nothing in it fails; gives what it returns. For what is true soon
 * after something else was seen: counters, views, logs. Past the deadline it fails as `check` did the last time.
 * @template T
 * @param {() => T | Promise<T>} check
 * @param {{timeoutMs?: number, everyMs?: number}} [options]
 * @returns {Promise<T>}
 */
export async function eventually(check, options = {}) {
  /** @type {{value: T} | undefined} */
  let passed;
  try {
    await waitFor(async () => (passed = { value: await check() }), { ...options, what: 'nothing fails' });
  } catch (error) {
    throw /** @type {Error} */ (error).cause ?? error;
  }
  return /** @type {{value: T}} */ (passed).value;
}

/**
 * Rejects when `promise` has not settled after `timeoutMs`.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} timeoutMs
 * @param {string} what
 * @returns {Promise<T>}
 */
export async function within(promise, timeoutMs, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
