/**
 * One socket for all tabs of a user. The tab that holds a Web Lock leads: it has the socket, sends the commands of the others and
 * passes events on. When it closes, the browser gives the lock to another tab, which resumes the leader's connection.
 */

import { retryDelay } from "./backoff.js";
import { Connection, type ConnectionSettings } from "./connection.js";
import { ConnectionLost } from "./error.js";
import type { Link, LinkHandlers } from "./link.js";
import type { ConnectionState } from "./machine.js";
import { Pending } from "./pending.js";
import { type TabMessage, received, shared } from "./tab_messages.js";
import type { Token } from "./token.js";
import { type TokenSource, fetchToken } from "./token_source.js";
import type { Answer, IncomingEvent, ResumeState } from "./transport.js";

/** Reports whether this is a page in a browser that has what tabs need to share a socket. */
export function canShare(): boolean {
  return typeof document !== "undefined" && typeof BroadcastChannel !== "undefined" && "locks" in navigator;
}

/** Connection that tabs of one user and session share. */
export class SharedConnection implements Link {
  readonly #settings: ConnectionSettings;
  readonly #handlers: LinkHandlers;
  readonly #tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
  #state: ConnectionState = { status: "idle" };
  #membership: Membership | undefined;

  constructor(settings: ConnectionSettings, handlers: LinkHandlers) {
    this.#settings = settings;
    this.#handlers = handlers;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    if (this.#membership && this.#state.status !== "stopped") return;
    // After a stop the next token may be of another session, which has other tabs.
    const left = this.#membership;
    this.#membership = undefined;
    left?.leave();
    const membership = new Membership(this.#tab, this.#settings, {
      state: (state) => this.#membership === membership && this.#changed(state),
      event: (event) => this.#membership === membership && this.#handlers.event(event),
    });
    this.#membership = membership;
    this.#changed({ status: "connecting" });
    void membership.join();
  }

  stop(): void {
    const membership = this.#membership;
    this.#membership = undefined;
    membership?.leave();
    this.#changed({ status: "idle" });
  }

  async request(event: string, data: object): Promise<Answer> {
    if (!this.#membership) throw new ConnectionLost("not connected");
    return this.#membership.request(event, data);
  }

  #changed(state: ConnectionState): void {
    if (JSON.stringify(shared(state)) === JSON.stringify(shared(this.#state))) return;
    this.#state = state;
    this.#handlers.state(state);
  }
}

/** Membership in the tabs of one user and session, from `connect` to `disconnect` or the next `connect` after a stop. */
class Membership {
  readonly #tab: string;
  readonly #settings: ConnectionSettings;
  readonly #handlers: LinkHandlers;
  readonly #pending = new Pending();
  readonly #left = new AbortController();
  #channel: BroadcastChannel | undefined;
  /** Connection of the leader, which this tab is then. */
  #connection: Connection | undefined;
  /** Tab that leads, where another one does. */
  #leader: string | undefined;
  #resume: ResumeState | undefined;

  constructor(tab: string, settings: ConnectionSettings, handlers: LinkHandlers) {
    this.#tab = tab;
    this.#settings = settings;
    this.#handlers = handlers;
  }

  /** Finds the user's other tabs, and leads them once no other tab does. */
  async join(): Promise<void> {
    const token = await this.#identity();
    if (!token || this.#left.signal.aborted) return;
    // Another user of this browser, or another session, shares nothing.
    const name = `postern ${JSON.stringify([this.#settings.url, token.userId, token.sessionId])}`;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#received(data);
    this.#post({ type: "hello" });
    try {
      await navigator.locks.request(name, { signal: this.#left.signal }, () => this.#lead(token));
    } catch {
      // An opaque origin has no locks: each of its tabs leads for itself.
      if (!this.#left.signal.aborted) await this.#lead(token);
    }
  }

  /** Leaves; a leader hands its connection to the next one. */
  leave(): void {
    // First, so that the other tabs do not take this tab's end for theirs.
    this.#left.abort();
    this.#connection?.handOver();
    this.#pending.lose();
    this.#channel?.close();
  }

  async request(event: string, data: object): Promise<Answer> {
    if (this.#connection) return this.#connection.request(event, data);
    if (this.#leader === undefined) throw new ConnectionLost("no tab leads");
    const { id, answer } = this.#pending.add();
    this.#post({ type: "request", from: this.#tab, id, event, data });
    return answer;
  }

  /** User and session, by the first token that the application has. */
  async #identity(): Promise<Token | undefined> {
    const { token, clock, backoff } = this.#settings;
    for (let failures = 0; !this.#left.signal.aborted; failures += 1) {
      const fetched = await fetchToken(token, clock);
      if (fetched.type === "token") return fetched.token;
      if (fetched.type === "no_token") {
        this.#handlers.state({ status: "stopped", error: fetched.error });
        return undefined;
      }
      const delay = retryDelay(backoff, failures, Math.random());
      this.#handlers.state({ status: "waiting", retryAt: Date.now() + delay, cause: fetched.cause });
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
    return undefined;
  }

  /** Leads until this tab leaves or is closed. */
  async #lead(token: Token): Promise<void> {
    if (this.#left.signal.aborted) return;
    const source = this.#leader === undefined ? once(token, this.#settings.token) : this.#settings.token;
    // The last leader answers no more: its commands are repeated.
    this.#pending.lose();
    const connection = new Connection(
      { ...this.#settings, token: source, owner: token },
      {
        state: (state) => {
          this.#handlers.state(state);
          this.#postState();
        },
        event: (event) => {
          this.#handlers.event(event);
          this.#post({ type: "event", event });
        },
      },
      this.#resume,
    );
    this.#connection = connection;
    connection.start();
    await new Promise<void>((resolve) => this.#left.signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  #received(message: TabMessage): void {
    if (this.#connection) this.#receivedAsLeader(message, this.#connection);
    else this.#receivedFromLeader(message);
  }

  #receivedAsLeader(message: TabMessage, connection: Connection): void {
    if (message.type === "hello") this.#postState();
    if (message.type === "connect") connection.start();
    if (message.type !== "request") return;
    const answer = (answered?: Answer): void =>
      this.#post({ type: "answer", to: message.from, id: message.id, answer: answered });
    connection.request(message.event, message.data).then(answer, () => answer());
  }

  #receivedFromLeader(message: TabMessage): void {
    switch (message.type) {
      case "state":
        this.#stateReceived(message);
        return;
      case "event":
        this.#eventReceived(message.event);
        return;
      case "answer":
        if (message.to !== this.#tab) return;
        if (message.answer) this.#pending.answer(message.id, message.answer);
        else this.#pending.lose(message.id);
        return;
      default:
        return;
    }
  }

  #stateReceived({ leader, state, resume, clock }: TabMessage & { type: "state" }): void {
    const isFirst = this.#leader === undefined;
    if (leader !== this.#leader) this.#pending.lose();
    this.#leader = leader;
    this.#resume = resume;
    this.#settings.clock.set(clock, 0);
    const current = received(state);
    if (isFirst && current.status === "stopped") {
      // The application of this tab has just asked for a connection.
      this.#post({ type: "connect" });
      return;
    }
    // This tab has read nothing yet, whatever the leader had recovered.
    this.#handlers.state(isFirst && current.status === "live" ? { ...current, recovered: false } : current);
  }

  #eventReceived(event: IncomingEvent): void {
    if (this.#leader === undefined) return;
    this.#handlers.event(event);
    if (event.offset !== null && this.#resume) this.#resume = { ...this.#resume, offset: event.offset };
  }

  #postState(): void {
    const { clock } = this.#settings;
    if (!this.#connection) return;
    const { state, resume } = this.#connection;
    this.#post({ type: "state", leader: this.#tab, state: shared(state), resume, clock: -clock.toLocal(0) });
  }

  #post(message: TabMessage): void {
    if (!this.#left.signal.aborted) this.#channel?.postMessage(message);
  }
}

/** Source that begins with a token that was fetched already. */
function once(token: Token, source: TokenSource): TokenSource {
  let next: string | undefined = token.text;
  return () => {
    const given = next;
    next = undefined;
    return given ?? source();
  };
}
