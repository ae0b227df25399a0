/** Listeners of typed events. */

/** Listener, and its removal. */
export type Unsubscribe = () => void;

/** Listeners by event. The payload of an event is the tuple of its arguments. */
export class Emitter<Events extends Record<keyof Events, unknown[]>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: unknown[]) => void>>();

  /** Adds a listener; the result removes it. */
  on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): Unsubscribe {
    // A function of its own, so that one listener may be added twice.
    const entry = (...args: unknown[]): void => listener(...(args as Events[E]));
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(entry));
    return () => listeners.delete(entry);
  }

  /** Calls the listeners of an event. What one throws is reported as uncaught, and keeps no other from its call. */
  emit<E extends keyof Events>(event: E, ...args: Events[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
