/** Scenarios of one client against a real cluster. They run in Node.js and, as they are, in a page of a browser. */

import type { Client, ClientOptions, ConnectionState, PosternError, SecondFactorPrompt } from "../../src/index.js";

/** What a scenario may do to the world. All of it is JSON, so that a page can ask for it. */
export interface Stage {
  /** Token of the user that lives so many seconds; its `iat` is so many seconds ago. */
  token(life: number, age: number): Promise<string>;
  /** Publishes a status of an account with this message. */
  publish(message: string): Promise<void>;
  /** Resets all connections, and refuses new ones until `allow`. */
  cut(): Promise<void>;
  allow(): Promise<void>;
  /** Ends all sessions of the user by the internal API. */
  endSessions(): Promise<void>;
  /** Current code of an authenticator. */
  code(secret: string): Promise<string>;
  /** Drains the gateway that serves the clients, once all clients of the test have asked for it. */
  drain(): Promise<void>;
}

/** Creates a client of the dialect under test. */
export type Create = (options: Partial<ClientOptions>) => Client;

/** Scenario with a user of its own. */
export type Scenario = (stage: Stage, create: Create) => Promise<void>;

/** Fails the scenario. */
export function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

/** Waits for a condition. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    check(Date.now() < deadline, `waited 30 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a client has reported. */
export class Log {
  readonly events: string[] = [];
  readonly states: ConnectionState[] = [];
  /** Time of the last change of the state. */
  since = 0;
  fresh = 0;

  constructor(client: Client) {
    client.on("account:status_changed", ({ metadata }) => this.events.push(metadata?.errorMessage ?? ""));
    client.on("state", (state) => {
      this.states.push(state);
      this.since = Date.now();
    });
    client.on("fresh", () => (this.fresh += 1));
  }

  get state(): ConnectionState | undefined {
    return this.states.at(-1);
  }

  async live(): Promise<void> {
    await until("a live connection", () => this.state?.status === "live");
  }

  async received(...events: string[]): Promise<void> {
    await until(`${events.length} events`, () => this.events.length >= events.length);
    check(this.events.join() === events.join(), `received ${this.events.join()}`);
  }
}

async function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "success",
    (error: PosternError) => error.code,
  );
}

/** Connection lost, event meanwhile, command meanwhile; then the end of the session. */
async function reconnect(stage: Stage, create: Create): Promise<void> {
  const client = create({ token: () => stage.token(3600, 0) });
  const log = new Log(client);
  client.connect();
  await log.live();
  check((await client.send("account:list")).accounts.length === 0, "accounts of a new user");
  await stage.publish("1");
  await log.received("1");
  await stage.cut();
  await until("a lost connection", () => log.state?.status !== "live");
  const settings = client.send("security:get_settings");
  await stage.publish("2");
  await stage.allow();
  check((await settings).settings.sessionTimeout === 30, "settings of a new user");
  await stage.publish("3");
  await log.received("1", "2", "3");
  check(log.fresh === 1, `${log.fresh} fresh starts`);
  await stage.endSessions();
  await until("the end of the session", () => log.state?.status === "stopped").catch(() => undefined);
  check(log.state?.status === "stopped" && log.state.error.code === "forbidden", JSON.stringify(log.states));
}

/** Token that has expired already, and one that nobody has signed. */
async function refusal(stage: Stage, create: Create): Promise<void> {
  let asked = 0;
  const late = create({ token: () => stage.token((asked += 1) === 1 ? -10 : 3600, 100) });
  const log = new Log(late);
  late.connect();
  await log.live();
  check(asked >= 2, `asked for ${asked} tokens`);
  late.disconnect();
  const forger = create({ token: async () => `${await stage.token(3600, 0)}x` });
  const forged = new Log(forger);
  forger.connect();
  await until("a refusal", () => forged.state?.status === "stopped");
  check(forged.state?.status === "stopped" && forged.state.error.reason === "signature", JSON.stringify(forged.states));
}

/** Token replaced in time; then a token that ends because its source is away. */
async function tokenExpiry(stage: Stage, create: Create): Promise<void> {
  let isAway = false;
  const client = create({
    token: async () => {
      if (isAway) throw new Error("the source is away");
      return stage.token(LIFE, 0);
    },
  });
  const log = new Log(client);
  let isWarned = false;
  client.on("session", (session) => {
    isWarned ||= session.isWarned && (session.expiresAt ?? 0) <= Date.now() + LIFE * 1000 && !session.canExtend;
  });
  client.connect();
  const outlived = (): boolean => log.state?.status === "live" && Date.now() > log.since + (LIFE + 1) * 1000;
  await until("a connection that outlives its first token", outlived);
  check(isWarned, "a token that ends before its session is warned of");
  isAway = true;
  await until("the end of the token", () => log.state?.status !== "live");
  isAway = false;
  await log.live();
  check(log.states.every(({ status }) => status !== "stopped"), "a token that helps is asked for");
  client.disconnect();
}

/** Seconds that a token lives. */
const LIFE = 6;

/** Renewed sign-in, enrolment, a wrong and a right code. */
async function stepUp(stage: Stage, create: Create): Promise<void> {
  let signIns = 0;
  const first = create({
    token: () => stage.token(3600, 600),
    reauthenticate: async () => {
      signIns += 1;
      return stage.token(3600, 0);
    },
  });
  const log = new Log(first);
  first.connect();
  const { enrolment } = await first.send("security:update_settings", { settings: { twoFactorEnabled: true } });
  check(enrolment?.secret !== undefined, "an authenticator has a secret");
  check(signIns === 1, `${signIns} renewed sign-ins: ${JSON.stringify(log.states)}`);
  const token = await stage.code(enrolment.secret);
  const { recoveryCodes } = await first.send("security:verify_2fa", { sessionId: enrolment.sessionId, token });
  check(recoveryCodes?.length === 10, "an enrolment has recovery codes");

  const silent = create({ token: () => stage.token(3600, 0) });
  silent.connect();
  check((await code(silent.revokeAll())) === "2fa_required", "nobody asks for a code");

  const prompts: SecondFactorPrompt[] = [];
  const second = create({
    token: () => stage.token(3600, 0),
    secondFactor: async (prompt) => {
      prompts.push(prompt);
      return prompts.length === 1 ? "00000" : recoveryCodes?.[0];
    },
  });
  second.connect();
  check((await second.revokeAll()).accountsDisconnected === 0, "accounts of a new user");
  check(prompts.map(({ error }) => error?.code).join() === ",bad_request", JSON.stringify(prompts));
  check((await second.extendSession()).canExtend, "a session can be extended");
  check((second.session.expiresAt ?? 0) > Date.now() + 1_700_000, `the session ends at ${second.session.expiresAt}`);
  for (const client of [first, silent, second]) client.disconnect();
}

/** Gateway that drains: the client comes back on the other one, and misses nothing. */
async function drain(stage: Stage, create: Create): Promise<void> {
  const client = create({ token: () => stage.token(3600, 0) });
  const log = new Log(client);
  client.connect();
  await log.live();
  await stage.drain();
  await until("the end of the connection", () => log.states.some(({ status }) => status === "waiting"));
  const waiting = log.states.find(({ status }) => status === "waiting");
  check(waiting?.status === "waiting" && waiting.cause.includes("reconnect-after-ms="), JSON.stringify(waiting));
  await stage.publish("1");
  await log.live();
  await stage.publish("2");
  await log.received("1", "2");
  check(log.fresh === 1, `${log.fresh} fresh starts`);
  client.disconnect();
}

/** All scenarios by name. */
export const scenarios: Readonly<Record<string, Scenario>> = { reconnect, refusal, tokenExpiry, stepUp, drain };
