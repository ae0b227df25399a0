/** Client of one user: commands, events, state and session over one link. */

import type { Backoff } from "./backoff.js";
import { ServerClock } from "./clock.js";
import { CommandSender, type SendOptions } from "./commands.js";
import { Connection } from "./connection.js";
import { type SessionCountdown, UNKNOWN, counted } from "./countdown.js";
import { Emitter, type Unsubscribe } from "./emitter.js";
import { isObject } from "./frame.js";
import type { Link, LinkHandlers } from "./link.js";
import type { ConnectionState } from "./machine.js";
import type {
  Command,
  CommandAnswer,
  CommandData,
  CommandWithoutData,
  ServerEvent,
  ServerEvents,
  TwoFactorRequired,
} from "./protocol.js";
import { Repetitions } from "./repetitions.js";
import { StepUp, type StepUpCallbacks } from "./step_up.js";
import { SharedConnection, canShare } from "./tabs.js";
import type { TokenSource } from "./token_source.js";
import type { IncomingEvent, OpenTransport } from "./transport.js";
import { webSocket } from "./websocket.js";

/** Options of a client. */
export interface ClientOptions extends StepUpCallbacks {
  /** URL of the gateways, `https://gateway.example.com`. */
  url: string;
  /** Source of access tokens, asked for each connection and before a token ends; null where the user is signed out. */
  token: TokenSource;
  /** Dialect: `webSocket()`, the default, or `socketIo()` of `@postern/client/socket.io`. */
  transport?: OpenTransport;
  /** Lasting id of the device, by which the user's devices are told apart. */
  deviceId?: string;
  /** Name of the device, as the user's list of sessions shows it. */
  deviceName?: string;
  /** False to receive notifications one by one instead of batches of a few seconds. */
  batching?: boolean;
  /** False for a socket of its own in each tab. By default tabs of one user share one where the browser can. */
  shareTabs?: boolean;
  /** Bounds of the delay between attempts to connect, in milliseconds: 500 and 30,000 by default. */
  reconnectDelay?: Partial<Backoff>;
  /** Milliseconds until a command is given up: 60,000 by default. */
  commandTimeout?: number;
}

/** Position and id of an event. */
export interface EventInfo {
  /** Null for an event outside of the user's event log. */
  readonly offset: string | null;
  readonly eventId: string | undefined;
}

/** Events of a client beside those of the server. */
export interface ClientEvents {
  /** The state of the connection has changed. */
  state: [ConnectionState];
  /** Earlier events may be lost: read the state again. Also at the first connect: read the state in one function, here. */
  fresh: [];
  /** The countdown of the session has changed. */
  session: [SessionCountdown];
}

type AllEvents = ClientEvents & { [E in ServerEvent]: [data: ServerEvents[E], info: EventInfo] };

/** Client of one user and session. Create one for the whole application. */
export class Client {
  readonly #emitter = new Emitter<AllEvents>();
  readonly #repetitions = new Repetitions();
  readonly #clock = new ServerClock();
  readonly #link: Link;
  readonly #commands: CommandSender;
  readonly #stepUp: StepUp;
  #session = UNKNOWN;

  constructor(options: ClientOptions) {
    this.#link = link(options, this.#clock, {
      state: (state) => this.#stateChanged(state),
      event: (event) => this.#received(event),
    });
    this.#commands = new CommandSender(this.#link, options.commandTimeout ?? 60_000);
    this.#stepUp = new StepUp(options, (command, data) => this.#send(command, data, undefined, {}));
  }

  /** Current state of the connection. */
  get state(): ConnectionState {
    return this.#link.state;
  }

  /** Current countdown of the session. */
  get session(): SessionCountdown {
    return this.#session;
  }

  /** Connects, and stays connected; has no effect while that is so. After `stopped` it starts anew. */
  connect(): void {
    this.#link.start();
  }

  /** Disconnects. Commands that wait fail with `disconnected`. */
  disconnect(): void {
    this.#link.stop();
  }

  /** Adds a listener of an event of the server, or of `state`, `fresh` and `session`; the result removes it. */
  on<E extends keyof AllEvents>(event: E, listener: (...args: AllEvents[E]) => void): Unsubscribe {
    return this.#emitter.on(event, listener);
  }

  /**
   * Sends a command; resolves with its successful answer, and rejects with a `PosternError`.
   *
   * Without an answer, because of a lost connection or a `timeout`, it is sent again under the same idempotency key.
   */
  send<C extends CommandWithoutData>(command: C, data?: CommandData<C>, options?: SendOptions): Promise<CommandAnswer<C>>;
  send<C extends Command>(command: C, data: CommandData<C>, options?: SendOptions): Promise<CommandAnswer<C>>;
  send<C extends Command>(command: C, data?: CommandData<C>, options: SendOptions = {}): Promise<CommandAnswer<C>> {
    return this.#send(command, data ?? ({} as CommandData<C>), this.#stepUp, options);
  }

  /** Moves the end of the session, as any other activity does. */
  extendSession(): Promise<CommandAnswer<"security:extend_session">> {
    return this.send("security:extend_session");
  }

  /** Asks for a confirmation token and unlinks all accounts with it; the application has asked the user before. */
  async revokeAll(): Promise<CommandAnswer<"security:revoke_all">> {
    const action = "security:revoke_all";
    const { confirmationToken } = await this.send("security:request_confirmation", { action });
    return this.send(action, { confirmationToken });
  }

  async #send<C extends Command>(
    command: C,
    data: CommandData<C>,
    stepUp: StepUp | undefined,
    options: SendOptions,
  ): Promise<CommandAnswer<C>> {
    const sent = Date.now();
    const answer = await this.#commands.send(command, data, stepUp, options);
    this.#count(command, answer as Record<string, unknown>, { sent });
    return answer;
  }

  #stateChanged(state: ConnectionState): void {
    if (state.status === "idle" || state.status === "stopped") this.#setSession(UNKNOWN);
    this.#commands.stateChanged(state);
    this.#emitter.emit("state", state);
    if (state.status === "live" && !state.recovered) this.#emitter.emit("fresh");
  }

  #received({ event, data, offset, eventId }: IncomingEvent): void {
    if (!this.#repetitions.isFirst(eventId)) return;
    if (event === "security:2fa_required") this.#stepUp.challenged(data as TwoFactorRequired);
    this.#count(event, isObject(data) ? data : {});
    // Types end at the wire: a gateway sends what its version of the contract says.
    const payload = [data, { offset, eventId }] as AllEvents[ServerEvent];
    this.#emitter.emit(event as ServerEvent, ...payload);
    if (event === "resync") this.#emitter.emit("fresh");
  }

  #count(event: string, data: Record<string, unknown>, times: { sent?: number } = {}): void {
    const toLocal = (server: number): number => this.#clock.toLocal(server);
    this.#setSession(counted(this.#session, event, data, { now: Date.now(), toLocal, ...times }));
  }

  #setSession(session: SessionCountdown): void {
    if (session === this.#session) return;
    this.#session = session;
    this.#emitter.emit("session", session);
  }
}

/** Creates a client; `connect` connects it. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

function link(options: ClientOptions, clock: ServerClock, handlers: LinkHandlers): Link {
  const { deviceId, deviceName, batching } = options;
  const settings = {
    url: new URL(options.url).origin,
    open: options.transport ?? webSocket(),
    token: options.token,
    device: {
      ...(deviceId === undefined ? {} : { deviceId }),
      ...(deviceName === undefined ? {} : { deviceName }),
      ...(batching === undefined ? {} : { batching }),
    },
    backoff: { min: 500, max: 30_000, ...options.reconnectDelay },
    clock,
  };
  return options.shareTabs !== false && canShare()
    ? new SharedConnection(settings, handlers)
    : new Connection(settings, handlers);
}
