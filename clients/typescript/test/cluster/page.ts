/** Page that runs the scenarios in a browser. */

import { type Client, type ClientOptions, createClient, webSocket } from "../../src/index.js";
import { socketIo } from "../../src/socketio.js";
import { Log, type Scenario, type Stage, scenarios } from "./scenarios.js";

/** Functions of this page that the test calls. */
export interface Page {
  /** Runs a scenario. */
  run(name: string, dialect: string, user: string, url: string): Promise<void>;
  /** Connects a client that shares its socket with other tabs. */
  share(dialect: string, user: string, url: string): Promise<void>;
  client: Client;
  log: Log;
}

declare global {
  interface Window extends Page {
    /** Binding of the test: a method of the stage of a user. */
    stage(user: string, method: string, args: unknown[]): Promise<never>;
  }
}

const METHODS = ["token", "publish", "cut", "allow", "endSessions", "code", "drain"] as const satisfies (keyof Stage)[];

function stageOf(user: string): Stage {
  const methods = METHODS.map((method) => [method, (...args: unknown[]) => window.stage(user, method, args)]);
  return Object.fromEntries(methods) as unknown as Stage;
}

function options(dialect: string, url: string): Pick<ClientOptions, "url" | "transport" | "reconnectDelay"> {
  return { url, transport: dialect === "socket.io" ? socketIo() : webSocket(), reconnectDelay: { min: 20, max: 200 } };
}

window.run = async (name, dialect, user, url) => {
  const create = (more: Partial<ClientOptions>): Client =>
    createClient({ token: () => null, shareTabs: false, ...options(dialect, url), ...more });
  await (scenarios[name] as Scenario)(stageOf(user), create);
};

window.share = async (dialect, user, url) => {
  const stage = stageOf(user);
  window.client = createClient({ ...options(dialect, url), token: () => stage.token(3600, 0) });
  window.log = new Log(window.client);
  window.client.connect();
  await window.log.live();
};
