/**
 * State machine of a connection: token, open, live, wait, stop. It does no I/O: inputs go in, effects come out, and time and
 * randomness are arguments.
 */

import { type Backoff, refreshDelay, retryDelay } from "./backoff.js";
import { type CloseInfo, afterClose } from "./close.js";
import { PosternError } from "./error.js";
import type { Token, TokenOwner } from "./token.js";

/** State of the connection, as an application shows it. */
export type ConnectionState =
  | { readonly status: "idle" }
  | { readonly status: "connecting" }
  /** Events arrive. `recovered` is false where earlier events may be lost, and on the first connect. */
  | { readonly status: "live"; readonly recovered: boolean; readonly userId: string; readonly sessionId: string }
  /** The next attempt follows at `retryAt`, in milliseconds since 1970. */
  | { readonly status: "waiting"; readonly retryAt: number; readonly cause: string }
  /** Nothing is attempted until the application calls `connect` again. */
  | { readonly status: "stopped"; readonly error: PosternError };

/** Input of the machine. */
export type Input =
  | { type: "start" }
  | { type: "stop" }
  | { type: "token"; token: Token }
  | { type: "no_token"; error: PosternError }
  | { type: "token_failed"; cause: string }
  | { type: "opened"; recovered: boolean }
  | { type: "closed"; close: CloseInfo }
  | { type: "refreshed"; token: Token }
  | { type: "refresh_failed" }
  /** The gateway warns that the token ends in so many milliseconds. */
  | { type: "token_ends"; within: number }
  | { type: "timer"; timer: Timer }
  | { type: "online" };

/** Timer of the machine; setting one replaces it. */
export type Timer = "retry" | "open" | "refresh";

/** Effect that the shell carries out. */
export type Effect =
  | { type: "fetch_token" }
  | { type: "open"; token: Token; resume: boolean }
  | { type: "close" }
  | { type: "refresh"; token: Token }
  | { type: "set_timer"; timer: Timer; delay: number }
  | { type: "clear_timer"; timer: Timer };

/** Time and randomness of one step. */
export interface Moment {
  /** Milliseconds since 1970, by this machine's clock. */
  now: number;
  /** Number from 0 to 1. */
  random: number;
  /** Time of this machine at which the server's clock shows the argument. */
  toLocal: (server: number) => number;
}

/** Connection of one user and session. */
export class Machine {
  #state: ConnectionState = { status: "idle" };
  #token: Token | undefined;
  /** Failures since the connection was live. */
  #failures = 0;
  #resume = true;
  /** Token that the gateway called expired: a second one in a row ends the attempts. */
  #refused: string | undefined;
  #error: PosternError | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #isFetching = false;
  readonly #backoff: Backoff;
  readonly #owner: TokenOwner | undefined;

  constructor(backoff: Backoff, owner?: TokenOwner) {
    this.#backoff = backoff;
    this.#owner = owner;
  }

  /** Current state. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Takes an input; returns the effects. An input that the state does not expect has none. */
  on(input: Input, moment: Moment): Effect[] {
    switch (input.type) {
      case "start":
        return this.#start();
      case "stop":
        return this.#end({ status: "idle" });
      case "token":
        return this.#tokenFetched(input.token, moment);
      case "no_token":
        return this.#isFetching ? this.#end({ status: "stopped", error: input.error }) : [];
      case "token_failed":
        return this.#tokenFailed(input.cause, moment);
      case "opened":
        return this.#opened(input.recovered, moment);
      case "closed":
        return this.#closed(input.close, moment);
      case "refreshed":
        this.#token = input.token;
        return this.#status === "live" ? this.#planRefresh(moment) : [];
      case "refresh_failed":
        return this.#status === "live" ? this.#refreshIn(REFRESH_RETRY, moment) : [];
      case "token_ends":
        return this.#tokenEnds(input.within, moment);
      case "timer":
        return this.#timer(input.timer, moment);
      case "online":
        return this.#status === "waiting" ? this.#fetch("connecting") : [];
    }
  }

  get #status(): ConnectionState["status"] {
    return this.#state.status;
  }

  #start(): Effect[] {
    if (this.#status !== "idle" && this.#status !== "stopped") return [];
    this.#failures = 0;
    this.#refused = undefined;
    this.#token = undefined;
    return this.#fetch("connecting");
  }

  /** Each connection gets the newest token: an expired one is the one reason why a client cannot resume. */
  #fetch(status: "connecting" | "live"): Effect[] {
    if (status === "connecting") this.#state = { status };
    if (this.#isFetching) return [];
    this.#isFetching = true;
    return [{ type: "clear_timer", timer: "retry" }, { type: "fetch_token" }];
  }

  #tokenFetched(token: Token, moment: Moment): Effect[] {
    if (!this.#isFetching) return [];
    this.#isFetching = false;
    const owner = this.#owner ?? this.#token;
    if (owner && (owner.userId !== token.userId || owner.sessionId !== token.sessionId)) {
      const error = new PosternError("forbidden", "The token is of another user or session: disconnect first.");
      return this.#end({ status: "stopped", error });
    }
    if (this.#status === "live") {
      // The source has no newer one yet.
      if (token.text === this.#token?.text) return this.#refreshIn(REFRESH_RETRY, moment);
      return [{ type: "refresh", token }];
    }
    if (token.text === this.#refused) {
      const error = this.#error ?? new PosternError("unauthenticated", "The token has expired.", { reason: "expired" });
      return this.#end({ status: "stopped", error });
    }
    this.#token = token;
    return [
      { type: "open", token, resume: this.#resume },
      { type: "set_timer", timer: "open", delay: OPEN_WITHIN },
    ];
  }

  #tokenFailed(cause: string, moment: Moment): Effect[] {
    if (!this.#isFetching) return [];
    this.#isFetching = false;
    if (this.#status === "live") return this.#refreshIn(REFRESH_RETRY, moment);
    return this.#wait(cause, this.#nextDelay(moment), moment);
  }

  #opened(recovered: boolean, moment: Moment): Effect[] {
    if (this.#status !== "connecting" || !this.#token) return [];
    const { userId, sessionId } = this.#token;
    this.#state = { status: "live", recovered, userId, sessionId };
    this.#failures = 0;
    this.#resume = true;
    this.#refused = undefined;
    return [{ type: "clear_timer", timer: "open" }, ...this.#planRefresh(moment)];
  }

  #closed(close: CloseInfo, moment: Moment): Effect[] {
    if (this.#status !== "live" && this.#status !== "connecting") return [];
    const timers = clear("open", "refresh");
    this.#isFetching = false;
    const action = afterClose(close);
    switch (action.kind) {
      case "stop":
        return this.#end({ status: "stopped", error: action.error });
      case "new_token":
        return [...timers, ...this.#renew(action.error)];
      case "reconnect": {
        this.#resume = action.resume;
        if (action.slow) this.#failures = Math.max(this.#failures, SLOW_FAILURES);
        return [...timers, ...this.#wait(close.reason, action.after ?? this.#nextDelay(moment), moment)];
      }
    }
  }

  /** Fetches a token in the place of an expired one, once: a second refusal in a row needs the application. */
  #renew(error: PosternError): Effect[] {
    if (this.#refused !== undefined) return this.#end({ status: "stopped", error });
    this.#refused = this.#token?.text;
    this.#error = error;
    return this.#fetch("connecting");
  }

  #nextDelay(moment: Moment): number {
    const failures = this.#failures;
    this.#failures += 1;
    return retryDelay(this.#backoff, failures, moment.random);
  }

  #wait(cause: string, delay: number, moment: Moment): Effect[] {
    this.#state = { status: "waiting", retryAt: moment.now + delay, cause };
    return [{ type: "set_timer", timer: "retry", delay }];
  }

  #planRefresh(moment: Moment): Effect[] {
    if (!this.#token) return [];
    return this.#refreshIn(refreshDelay(moment.toLocal(this.#token.expiresAt) - moment.now), moment);
  }

  #refreshIn(delay: number, moment: Moment): Effect[] {
    this.#refreshAt = moment.now + delay;
    return [{ type: "set_timer", timer: "refresh", delay }];
  }

  /** The gateway's warning corrects this machine's clock; it never delays a refresh. */
  #tokenEnds(within: number, moment: Moment): Effect[] {
    const delay = refreshDelay(within);
    return this.#status === "live" && moment.now + delay < this.#refreshAt ? this.#refreshIn(delay, moment) : [];
  }

  #timer(timer: Timer, moment: Moment): Effect[] {
    switch (timer) {
      case "retry":
        return this.#status === "waiting" ? this.#fetch("connecting") : [];
      case "refresh":
        return this.#status === "live" ? this.#fetch("live") : [];
      case "open":
        if (this.#status !== "connecting") return [];
        return [{ type: "close" }, ...this.#wait("no answer in time", this.#nextDelay(moment), moment)];
    }
  }

  #end(state: ConnectionState): Effect[] {
    this.#state = state;
    this.#isFetching = false;
    return [...clear("retry", "open", "refresh"), { type: "close" }];
  }
}

function clear(...timers: Timer[]): Effect[] {
  return timers.map((timer) => ({ type: "clear_timer", timer }));
}

/** Time for a connection to become live, above the gateway's own 10 s. */
const OPEN_WITHIN = 15_000;
/** Delay before another attempt to refresh a token. */
const REFRESH_RETRY = 5_000;
/** Failures that count for a socket that was closed for too many connections or messages. */
const SLOW_FAILURES = 4;
