/** Commands of one socket that wait for their answer. */

import { ConnectionLost } from "./error.js";
import type { Answer } from "./transport.js";

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** Commands by their id. */
export class Pending {
  readonly #waiting = new Map<string, Waiting>();
  #last = 0;

  /** Registers a command; returns its id and its answer. */
  add(): { id: string; answer: Promise<Answer> } {
    this.#last += 1;
    const id = String(this.#last);
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    return { id, answer };
  }

  /** Completes a command; an unknown id has no effect. */
  answer(id: string, answer: Answer): void {
    this.#waiting.get(id)?.resolve(answer);
    this.#waiting.delete(id);
  }

  /** Rejects a command, or all of them: their outcome is unknown. */
  lose(id?: string): void {
    const ids = id === undefined ? [...this.#waiting.keys()] : [id];
    for (const each of ids) {
      this.#waiting.get(each)?.reject(new ConnectionLost("the connection was lost before the answer"));
      this.#waiting.delete(each);
    }
  }
}
