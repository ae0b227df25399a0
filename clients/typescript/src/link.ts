/** Way to the gateways: a socket of its own, or one that tabs share. */

import type { ConnectionState } from "./machine.js";
import type { Answer, IncomingEvent } from "./transport.js";

/** Connection that reconnects by itself. */
export interface Link {
  /** Current state. */
  readonly state: ConnectionState;
  start(): void;
  stop(): void;
  /** Sends a command; rejects with `ConnectionLost` where its outcome is unknown or nothing was sent. */
  request(event: string, data: object): Promise<Answer>;
}

/** Callbacks of a link. */
export interface LinkHandlers {
  state(state: ConnectionState): void;
  event(event: IncomingEvent): void;
}
