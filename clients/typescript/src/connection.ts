/** Socket of one user that reconnects, resumes and replaces its token: carries out the effects of `Machine`. */

import type { Backoff } from "./backoff.js";
import type { ServerClock } from "./clock.js";
import type { CloseInfo } from "./close.js";
import { ConnectionLost } from "./error.js";
import { isObject, text } from "./frame.js";
import type { Link, LinkHandlers } from "./link.js";
import { type ConnectionState, type Effect, type Input, Machine, type Timer } from "./machine.js";
import type { Credentials, SessionEnd } from "./protocol.js";
import { Slots } from "./slots.js";
import { type Token, type TokenOwner, readToken } from "./token.js";
import { type TokenSource, fetchToken } from "./token_source.js";
import type { Answer, IncomingEvent, OpenTransport, Opened, ResumeState, Transport } from "./transport.js";

/** Settings of a connection. */
export interface ConnectionSettings {
  url: string;
  open: OpenTransport;
  token: TokenSource;
  device: Omit<Credentials, "token">;
  backoff: Backoff;
  clock: ServerClock;
  /** User and session that tokens must name; those of the first token by default. */
  owner?: TokenOwner;
}

/** Connection with a socket of its own. */
export class Connection implements Link {
  readonly #settings: ConnectionSettings;
  readonly #handlers: LinkHandlers;
  readonly #machine: Machine;
  readonly #slots = new Slots(IN_FLIGHT, QUEUED);
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  #transport: Transport | undefined;
  #resume: ResumeState | undefined;
  #ended: SessionEnd | undefined;
  /** Number of token requests: a late result of an earlier one is ignored. */
  #fetches = 0;

  constructor(settings: ConnectionSettings, handlers: LinkHandlers, resume?: ResumeState) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#machine = new Machine(settings.backoff, settings.owner);
    this.#resume = resume;
  }

  get state(): ConnectionState {
    return this.#machine.state;
  }

  /** State with which another connection of the same user and session may resume. */
  get resume(): ResumeState | undefined {
    return this.#resume;
  }

  start(): void {
    listen("add", this.#online);
    this.#feed({ type: "start" });
  }

  stop(): void {
    this.#resume = undefined;
    this.#stop();
  }

  /** Stops and leaves the resume state to another connection. */
  handOver(): void {
    this.#stop();
  }

  async request(event: string, data: object): Promise<Answer> {
    return this.#slots.run(async () => {
      const transport = this.#transport;
      if (!transport || this.state.status !== "live") throw new ConnectionLost("not connected");
      const answer = await this.#answered(transport, event, transport.request(event, data));
      this.#observeTime(answer);
      if (event === "auth:refresh" && answer["success"] === true && "token" in data) this.#refreshed(data.token);
      return answer;
    });
  }

  #stop(): void {
    listen("remove", this.#online);
    this.#feed({ type: "stop" });
  }

  /** A gateway answers within its deadline: without an answer the link is dead, though neither side has noticed. */
  async #answered(transport: Transport, event: string, answer: Promise<Answer>): Promise<Answer> {
    const within = event === "account:sync" ? SYNC_WITHIN : ANSWER_WITHIN;
    const timer = setTimeout(() => {
      if (this.#transport !== transport) return;
      this.#close(true);
      this.#feed({ type: "closed", close: { code: 1006, reason: "no answer in time" } });
    }, within);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  #refreshed(token: unknown): void {
    const read = typeof token === "string" ? readToken(token) : undefined;
    if (read) this.#feed({ type: "refreshed", token: read });
  }

  #feed(input: Input): void {
    const before = this.#machine.state;
    const { clock } = this.#settings;
    const toLocal = (server: number): number => clock.toLocal(server);
    const effects = this.#machine.on(input, { now: Date.now(), random: Math.random(), toLocal });
    for (const effect of effects) this.#carryOut(effect);
    const after = this.#machine.state;
    if (after !== before) this.#handlers.state(after);
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case "fetch_token":
        void this.#fetchToken();
        return;
      case "open":
        this.#open(effect.token, effect.resume);
        return;
      case "close":
        this.#close(this.#resume !== undefined);
        return;
      case "refresh":
        void this.#sendToken(effect.token);
        return;
      case "set_timer":
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.set(
          effect.timer,
          setTimeout(() => this.#feed({ type: "timer", timer: effect.timer }), effect.delay),
        );
        return;
      case "clear_timer":
        clearTimeout(this.#timers.get(effect.timer));
        return;
    }
  }

  async #fetchToken(): Promise<void> {
    this.#fetches += 1;
    const fetch = this.#fetches;
    const input = await fetchToken(this.#settings.token, this.#settings.clock);
    if (fetch === this.#fetches) this.#feed(input);
  }

  async #sendToken(token: Token): Promise<void> {
    try {
      const answer = await this.request("auth:refresh", { token: token.text });
      if (answer["success"] === true) {
        // Nobody else has asked: the countdown learns of it as of an event.
        this.#handlers.event({ event: "auth:refreshed", data: answer, offset: null, eventId: undefined });
      } else {
        this.#feed({ type: "refresh_failed" });
      }
    } catch {
      this.#feed({ type: "refresh_failed" });
    }
  }

  #open(token: Token, resumes: boolean): void {
    if (!resumes) this.#resume = undefined;
    this.#ended = undefined;
    const { url, device, open } = this.#settings;
    const target = { url, auth: { ...device, token: token.text }, resume: this.#resume };
    const isCurrent = (): boolean => this.#transport === transport;
    let transport: Transport | undefined;
    try {
      transport = open(target, {
        opened: (opened) => isCurrent() && this.#opened(opened),
        event: (event) => isCurrent() && this.#event(event),
        closed: (close) => isCurrent() && this.#closed(close),
      });
    } catch (error) {
      // A browser refuses `ws:` on a page of `https:`, for example.
      queueMicrotask(() => this.#closed({ code: 1006, reason: String(error) }));
    }
    this.#transport = transport;
  }

  #opened({ recovered, resume, serverTime }: Opened): void {
    if (serverTime !== undefined) this.#settings.clock.set(serverTime, Date.now());
    if (!recovered) this.#resume = resume;
    this.#feed({ type: "opened", recovered });
  }

  #event(event: IncomingEvent): void {
    const data = isObject(event.data) ? event.data : {};
    if (event.event === "security:session_expired") this.#ended = data["reason"] as SessionEnd;
    if (event.event === "security:session_warning" && data["canExtend"] === false) {
      this.#feed({ type: "token_ends", within: Number(data["expiresIn"]) * 1000 });
    }
    this.#observeTime(data);
    const passed = Date.parse(text(data["timestamp"]) ?? "");
    if (!Number.isNaN(passed)) this.#settings.clock.passed(passed, Date.now());
    this.#handlers.event(event);
    // After its listeners: an event that was not handled comes again.
    if (event.offset !== null && this.#resume) this.#resume = { ...this.#resume, offset: event.offset };
  }

  #observeTime(message: Record<string, unknown>): void {
    const serverTime = Date.parse(text(message["serverTime"]) ?? "");
    if (!Number.isNaN(serverTime)) this.#settings.clock.set(serverTime, Date.now());
  }

  #closed(close: CloseInfo): void {
    this.#transport = undefined;
    this.#feed({ type: "closed", close: { ...close, ended: this.#ended } });
  }

  #close(keepResume: boolean): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close(keepResume);
  }

  readonly #online = (): void => this.#feed({ type: "online" });
}

function listen(change: "add" | "remove", online: () => void): void {
  const page = globalThis as { addEventListener?: typeof addEventListener; removeEventListener?: typeof removeEventListener };
  page[`${change}EventListener`]?.("online", online);
}

/** Commands in flight, below the 32 that a gateway takes, and those that wait for one of them. */
const IN_FLIGHT = 24;
const QUEUED = 256;
/** Time for an answer, above the gateway's deadlines of 10 s and 30 s. */
const ANSWER_WITHIN = 15_000;
const SYNC_WITHIN = 35_000;
