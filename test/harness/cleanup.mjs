// What must not outlive this process (servers, temporary directories), whatever way it ends short of SIGKILL.

/** @type {Set<() => void>} */
const pending = new Set();

/**
 * Registers synchronous work for the process's end; the returned function takes it back.
 * @param {() => void} work
 * @returns {() => void}
 */
export function atExit(work) {
  pending.add(work);
  return () => pending.delete(work);
}

process.on('exit', () => {
  for (const work of [...pending].reverse()) {
    try {
      work();
    } catch (error) {
      console.error(error);
    }
  }
});

// A default handler would end the process without 'exit'. Programs with a gentler way install theirs first.
for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT'])) {
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) process.exit(1);
  });
}
