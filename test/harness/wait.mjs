// Waiting for a condition, never for a time: a test that needs something asks for it until a deadline.

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
export async function waitFor(condition, { timeoutMs = 20_000, everyMs = 20, what = String(condition) } = {}) {
  const deadline = Date.now() + timeoutMs;
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
    const hopeless = lastError instanceof Hopeless;
    if (hopeless || Date.now() >= deadline) {
      const text = typeof what === 'function' ? what() : what;
      const why = hopeless ? lastError.message : `not within ${timeoutMs} ms`;
      throw new Error(`${why}: ${text}`, lastError === undefined ? {} : { cause: lastError });
    }
    await pause(everyMs);
  }
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
