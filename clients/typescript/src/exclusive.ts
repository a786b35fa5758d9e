// One work after the other, for works that share something.

export type Exclusive = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs works one after the other; one that fails does not keep the next from running. */
export function oneByOne(): Exclusive {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
