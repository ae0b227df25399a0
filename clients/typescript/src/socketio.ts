/** Socket.IO, over the official client: the entry point `@postern/client/socket.io`. */

import { type ManagerOptions, type Socket, type SocketOptions, io } from "socket.io-client";

import type { CloseInfo } from "./close.js";
import { ConnectionLost } from "./error.js";
import { isObject, text } from "./frame.js";
import { Pending } from "./pending.js";
import { type Command, type ErrorCode, RESPONSES, type TokenFault } from "./protocol.js";
import type { Answer, OpenTransport, Target, Transport, TransportHandlers } from "./transport.js";

/** Further options of the official client, such as `ca`. */
export type SocketIoOptions = Omit<
  Partial<ManagerOptions & SocketOptions>,
  "auth" | "autoConnect" | "forceNew" | "multiplex" | "parser" | "reconnection" | "transports"
>;

/** Opens Socket.IO connections. Reconnects are the client's own, as the official one ignores close codes. */
export function socketIo(options: SocketIoOptions = {}): OpenTransport {
  return (target, handlers) => new SocketIoTransport(target, handlers, options);
}

class SocketIoTransport implements Transport {
  readonly #socket: Socket;
  readonly #handlers: TransportHandlers;
  readonly #pending = new Pending();
  /** Number of commands that wait for an answer under this event. */
  readonly #awaited = new Map<string, number>();
  #pid: string | undefined;
  #isClosed = false;

  constructor({ url, auth, resume }: Target, handlers: TransportHandlers, options: SocketIoOptions) {
    this.#handlers = handlers;
    this.#socket = io(url, {
      ...options,
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      auth: resume ? { ...auth, pid: resume.resumeToken, offset: resume.offset } : auth,
    });
    // The official client keeps the resume token private: it hands it to its own next socket alone.
    this.#socket.io.engine.on("message", (message: unknown) => (this.#pid ??= pidOf(message)));
    this.#socket.on("connect", () => this.#connected(resume?.resumeToken));
    this.#socket.on("connect_error", (error) => this.#closed(connectFailure(error)));
    this.#socket.on("disconnect", (reason, details) => this.#closed(disconnected(reason, details)));
    this.#socket.onAny((event: string, data: unknown, offset: unknown) => this.#received(event, data, offset));
  }

  async request(event: string, data: object): Promise<Answer> {
    if (this.#isClosed) throw new ConnectionLost("the connection is closed");
    const { id, answer } = this.#pending.add();
    const response = RESPONSES[event as Command];
    this.#await(response, 1);
    this.#socket.emit(event, data, (answered: unknown) => {
      this.#await(response, -1);
      this.#pending.answer(id, isObject(answered) ? answered : {});
    });
    return answer;
  }

  close(keepResume: boolean): void {
    this.#isClosed = true;
    this.#pending.lose();
    // DISCONNECT would end the resume token.
    if (keepResume) this.#socket.io.engine?.close();
    this.#socket.disconnect();
  }

  #connected(resumed: string | undefined): void {
    const pid = this.#pid;
    this.#handlers.opened({
      recovered: pid !== undefined && pid === resumed,
      resume: pid === undefined ? undefined : { resumeToken: pid, offset: undefined },
      serverTime: undefined,
    });
  }

  #received(event: string, data: unknown, offset: unknown): void {
    // An answer arrives as an event too, before its acknowledgement.
    if (this.#isClosed || (this.#awaited.get(event) ?? 0) > 0) return;
    const { eventId, ...rest } = isObject(data) ? data : {};
    this.#handlers.event({ event, data: rest, offset: text(offset) ?? null, eventId: text(eventId) });
  }

  #await(response: string, change: number): void {
    this.#awaited.set(response, (this.#awaited.get(response) ?? 0) + change);
  }

  #closed(close: CloseInfo): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pending.lose();
    this.#socket.disconnect();
    this.#handlers.closed(close);
  }
}

/** Resume token of a CONNECT packet of the default parser. With another parser there is no resume. */
function pidOf(message: unknown): string | undefined {
  if (typeof message !== "string" || !message.startsWith("0{")) return undefined;
  const packet: unknown = JSON.parse(message.slice(1));
  return isObject(packet) ? text(packet["pid"]) : undefined;
}

/** A refusal has a code in its data; any other failure is the network's. */
function connectFailure(error: Error & { data?: unknown }): CloseInfo {
  const close: CloseInfo = { code: 1006, reason: error.message };
  const code = isObject(error.data) ? text(error.data["code"]) : undefined;
  if (isObject(error.data) && code !== undefined) {
    const reason = text(error.data["reason"]) as TokenFault | undefined;
    close.refusal = { code: code as ErrorCode, message: error.message, reason };
  }
  return close;
}

/** A server's DISCONNECT has no code: without a `security:session_expired` it means too many messages, or another socket. */
function disconnected(reason: string, details: unknown): CloseInfo {
  if (reason === "io server disconnect") return { code: 4429, reason };
  const frame = isObject(details) && typeof details["context"] === "object" ? details["context"] : null;
  const { code, reason: closeReason } = (frame ?? {}) as { code?: unknown; reason?: unknown };
  return { code: typeof code === "number" ? code : 1006, reason: text(closeReason) || reason };
}
