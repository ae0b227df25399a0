/** Gateway that answers as a test says, as a transport without a network. */

import type { CloseInfo } from "../../src/close.js";
import { ConnectionLost } from "../../src/error.js";
import type { Answer, OpenTransport, Target, Transport, TransportHandlers } from "../../src/transport.js";

/** Request as the gateway received it. */
export interface Received {
  event: string;
  data: Record<string, unknown>;
  answer(answer: Answer): void;
}

/** Gateway with at most one open socket. */
export class FakeGateway {
  readonly targets: Target[] = [];
  readonly received: Received[] = [];
  recovers = false;
  #handlers: TransportHandlers | undefined;
  #lose: (() => void)[] = [];

  readonly open: OpenTransport = (target, handlers): Transport => {
    this.targets.push(target);
    this.#handlers = handlers;
    queueMicrotask(() =>
      handlers.opened({
        recovered: this.recovers,
        resume: { resumeToken: `r${this.targets.length}`, offset: "e-0" },
        serverTime: undefined,
      }),
    );
    return {
      request: (event, data) =>
        new Promise((resolve, reject) => {
          this.received.push({ event, data: data as Record<string, unknown>, answer: resolve });
          this.#lose.push(() => reject(new ConnectionLost("lost")));
        }),
      close: () => this.#lost(),
    };
  };

  /** Closes the socket. */
  closed(close: Partial<CloseInfo> = {}): void {
    this.#lost();
    this.#handlers?.closed({ code: 1006, reason: "", ...close });
  }

  /** Sends an event. */
  event(event: string, data: object, offset: string | null = null, eventId?: string): void {
    this.#handlers?.event({ event, data, offset, eventId });
  }

  /** Waits for the next request that has not been taken yet. */
  async next(): Promise<Received> {
    await until(() => this.received.length > 0);
    const received = this.received.shift();
    if (!received) throw new Error("no request");
    return received;
  }

  #lost(): void {
    for (const lose of this.#lose.splice(0)) lose();
  }
}

/** Waits for a condition; the runner's timeout is the deadline. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Unsigned token of a user. */
export function jwt(user = "GEN-001", life = 3600, more: object = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, iat: now, exp: now + life, ...more };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
}
