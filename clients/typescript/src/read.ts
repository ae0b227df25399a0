/** Answer of a reading command, read again whenever it may have changed. */

import type { Client } from "./client.js";
import type { Unsubscribe } from "./emitter.js";
import type { PosternError } from "./error.js";
import type { CommandAnswer, CommandWithoutData, ServerEvent } from "./protocol.js";

/** Last answer, and the failure of the last attempt. */
export interface ReadState<C extends CommandWithoutData> {
  readonly data: CommandAnswer<C> | undefined;
  readonly error: PosternError | undefined;
  readonly isLoading: boolean;
}

/** One reader for all components that show the same answer. */
export class Read<C extends CommandWithoutData> {
  readonly #client: Client;
  readonly #command: C;
  readonly #events: readonly ServerEvent[];
  readonly #subscribers = new Set<() => void>();
  #removals: Unsubscribe[] = [];
  #state: ReadState<C> = { data: undefined, error: undefined, isLoading: false };
  #isStale = false;

  constructor(client: Client, command: C, events: readonly ServerEvent[]) {
    this.#client = client;
    this.#command = command;
    this.#events = events;
  }

  readonly state = (): ReadState<C> => this.#state;

  readonly subscribe = (subscriber: () => void): Unsubscribe => {
    if (this.#subscribers.size === 0) this.#begin();
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) for (const remove of this.#removals.splice(0)) remove();
    };
  };

  /** Reads now; while an answer is awaited, once more after it. */
  readonly reload = (): void => {
    this.#isStale = true;
    if (!this.#state.isLoading) void this.#load();
  };

  #begin(): void {
    this.#removals = [
      this.#client.on("fresh", this.reload),
      ...this.#events.map((event) => this.#client.on(event, this.reload)),
    ];
    if (this.#client.state.status === "live") this.reload();
  }

  async #load(): Promise<void> {
    this.#set({ ...this.#state, isLoading: true });
    while (this.#isStale) {
      this.#isStale = false;
      try {
        const data = await this.#client.send(this.#command);
        this.#set({ data, error: undefined, isLoading: this.#isStale });
      } catch (error) {
        this.#set({ ...this.#state, error: error as PosternError, isLoading: this.#isStale });
      }
    }
  }

  #set(state: ReadState<C>): void {
    this.#state = state;
    for (const subscriber of [...this.#subscribers]) subscriber();
  }
}
