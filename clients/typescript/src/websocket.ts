/** Plain WebSocket, subprotocol `postern.v1.json`. */

import type { CloseInfo } from "./close.js";
import { ConnectionLost } from "./error.js";
import { type Frame, decode, encode, text } from "./frame.js";
import { Pending } from "./pending.js";
import type { ErrorCode, ErrorNotice, Ready, TokenFault } from "./protocol.js";
import type { Answer, OpenTransport, Target, Transport, TransportHandlers } from "./transport.js";

/** Constructor of a WebSocket: the global one, or that of `ws` in Node.js before 22. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** Part of a WebSocket that the transport uses. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

/** Opens plain WebSockets. */
export function webSocket(options: { WebSocket?: WebSocketConstructor } = {}): OpenTransport {
  // Looked up late: a client may be created where a page is rendered on a server.
  return (target, handlers) => new PlainSocket(target, handlers, options.WebSocket ?? globalWebSocket());
}

function globalWebSocket(): WebSocketConstructor {
  if (typeof WebSocket === "undefined") {
    throw new TypeError("there is no global WebSocket: pass webSocket({ WebSocket }) with that of the package ws");
  }
  return WebSocket;
}

class PlainSocket implements Transport {
  readonly #socket: WebSocketLike;
  readonly #handlers: TransportHandlers;
  readonly #pending = new Pending();
  #isClosed = false;
  #refusal: CloseInfo["refusal"];
  #failure = "the connection failed";

  constructor(target: Target, handlers: TransportHandlers, Socket: WebSocketConstructor) {
    this.#handlers = handlers;
    const socket = new Socket(`${target.url.replace(/^http/, "ws").replace(/\/$/, "")}/ws`, ["postern.v1.json"]);
    this.#socket = socket;
    socket.onopen = () => socket.send(encode("auth", { ...target.auth, resume: target.resume }));
    socket.onmessage = ({ data }: { data: unknown }) => this.#received(data);
    socket.onerror = ({ message }: { message?: unknown }) => {
      this.#failure = text(message) ?? this.#failure;
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.#closed(code, reason);
  }

  async request(event: string, data: object): Promise<Answer> {
    if (this.#isClosed) throw new ConnectionLost("the connection is closed");
    const { id, answer } = this.#pending.add();
    this.#socket.send(encode(event, data, id));
    return answer;
  }

  close(): void {
    this.#isClosed = true;
    this.#pending.lose();
    this.#socket.close(1000);
  }

  #received(message: unknown): void {
    if (this.#isClosed || typeof message !== "string") return;
    for (const frame of decode(message)) this.#frame(frame);
  }

  #frame(frame: Frame): void {
    if (frame.id !== undefined) {
      this.#pending.answer(frame.id, frame.data);
    } else if (frame.event === "ready") {
      this.#ready(frame.data as unknown as Ready);
      this.#handlers.event(frame);
    } else {
      // A refusal precedes the close that it explains.
      if (frame.event === "error") this.#refusal = refusal(frame.data as unknown as ErrorNotice);
      this.#handlers.event(frame);
    }
  }

  #ready(ready: Ready): void {
    this.#handlers.opened({
      recovered: ready.recovered,
      resume: { resumeToken: ready.resumeToken, offset: ready.recovered ? undefined : ready.offset },
      serverTime: Date.parse(ready.serverTime),
    });
  }

  #closed(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pending.lose();
    const close: CloseInfo = { code, reason: reason || this.#failure };
    if (this.#refusal) close.refusal = this.#refusal;
    this.#handlers.closed(close);
  }
}

/** Refusal of a token or session; an `error` that names another event than `auth` concerns that event alone. */
function refusal(notice: ErrorNotice): CloseInfo["refusal"] {
  if (notice.event !== undefined && notice.event !== "auth") return undefined;
  const { error: code, message, reason }: { error: ErrorCode; message: string; reason?: TokenFault } = notice;
  return { code, message, reason };
}
