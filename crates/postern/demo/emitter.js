// Listeners by name, called in the sequence in which they were added.

export class Emitter {
  #listeners = new Map();

  /** Adds a listener, until `signal` is aborted where there is one. */
  on(name, listener, signal) {
    const of = (listeners) => this.#listeners.set(name, listeners);
    of([...(this.#listeners.get(name) ?? []), listener]);
    signal?.addEventListener("abort", () => of(this.#listeners.get(name).filter((other) => other !== listener)));
  }

  emit(name, value) {
    for (const listener of this.#listeners.get(name) ?? []) listener(value);
  }
}
