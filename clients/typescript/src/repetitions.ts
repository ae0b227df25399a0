/** Events that come again after a loss of data in Redis, or to each new socket until they are acknowledged. */

/** Ids of the last events. */
export class Repetitions {
  readonly #seen = new Set<string>();

  /** Records an event; false if it was recorded before. An event without an id is never repeated. */
  isFirst(eventId: string | undefined): boolean {
    if (eventId === undefined) return true;
    if (this.#seen.has(eventId)) return false;
    this.#seen.add(eventId);
    if (this.#seen.size > MOST) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    return true;
  }
}

/** Twice the events that a user's event log keeps. */
const MOST = 512;
