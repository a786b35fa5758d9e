// Listeners by event. One that throws does not keep the others from hearing.

type Listener = (...args: any[]) => void;

export class Emitter<Events extends { [K in keyof Events]: Listener }> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>();
  readonly #failed: (event: keyof Events, error: unknown) => void;

  constructor(failed: (event: keyof Events, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Returns what ends it. */
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void {
    let set = this.#listeners.get(event);
    if (!set) this.#listeners.set(event, (set = new Set()));
    // The same function twice is two listeners, as each `on` has its own end.
    const own: Listener = (...args) => listener(...args);
    set.add(own);
    return () => void set.delete(own);
  }

  has(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  emit<E extends keyof Events>(event: E, ...args: Parameters<Events[E]>): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        this.#failed(event, error);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
