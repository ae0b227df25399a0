/** Commands in flight on one socket: a gateway takes 32 at a time. */

import { PosternError } from "./error.js";

/** Bounded number of slots, with a bounded queue for them. */
export class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];
  readonly #queued: number;

  constructor(slots: number, queued: number) {
    this.#free = slots;
    this.#queued = queued;
  }

  /** Runs a task in a slot; rejects at once when the queue is full. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else if (this.#queue.length < this.#queued) {
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      throw new PosternError("overloaded", "Too many commands wait already; nothing was sent.");
    }
    try {
      return await task();
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
