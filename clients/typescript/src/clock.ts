/** Difference between the server's clock and this machine's, from times that the server sends. */

/** Clock of the server as this machine knows it, in milliseconds. */
export class ServerClock {
  #offset = 0;
  #isExact = false;

  /** Records the server's time of this moment. */
  set(server: number, now: number): void {
    this.#offset = server - now;
    this.#isExact = true;
  }

  /** Records a time that has passed at the server: without an exact time, it bounds the difference from below. */
  passed(server: number, now: number): void {
    if (!this.#isExact && server - now > this.#offset) this.#offset = server - now;
  }

  /** Time of this machine at which the server's clock shows `server`. */
  toLocal(server: number): number {
    return server - this.#offset;
  }
}
