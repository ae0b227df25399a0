/** The cluster that the test of crates/postern has started, by its environment. */

import { createHmac, randomUUID } from "node:crypto";

import { Balancer } from "./balancer.js";
import type { Stage } from "./scenarios.js";

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: crates/postern/tests/it/typescript.rs starts this test`);
  return value;
}

/** Gateways, the first of which is drained. */
export const gateways = variable("GATEWAYS").split(",").map((url) => new URL(url));

/** Port of the page, whose origin the gateways allow. */
export const pagePort = Number(variable("PAGE_PORT"));

/** Signs a token as the gateways expect it. */
export function sign(claims: object): string {
  const head = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => base64url(JSON.stringify(part))).join(".");
  return `${head}.${createHmac("sha256", variable("JWT_SECRET")).update(head).digest("base64url")}`;
}

function base64url(text: string): string {
  return Buffer.from(text).toString("base64url");
}

/** Calls the internal API of the gateway that is not drained; returns the body of its answer. */
export async function internal(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${variable("INTERNAL")}${path}`, {
    method,
    headers: { authorization: `Bearer ${variable("INTERNAL_TOKEN")}`, "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

/** Current time-based code of an authenticator (RFC 6238). */
function totp(secret: string): string {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Drain that begins once so many clients have asked for it. */
export class Drain {
  readonly #clients: number;
  readonly #waiting: (() => void)[] = [];

  constructor(clients: number) {
    this.#clients = clients;
  }

  async ask(): Promise<void> {
    const begun = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#waiting.length === this.#clients) {
      process.kill(Number(variable("GATEWAY_PID")), "SIGTERM");
      for (const resolve of this.#waiting) resolve();
    }
    return begun;
  }
}

/** Stage of one user, with a balancer of its own. */
export class UserStage implements Stage {
  readonly user: string;
  readonly balancer: Balancer;
  readonly #drain: Drain;
  /** Session of further tokens. */
  session: string;
  #tokens = 0;

  private constructor(user: string, balancer: Balancer, drain: Drain) {
    this.user = user;
    this.session = user;
    this.balancer = balancer;
    this.#drain = drain;
  }

  /** Stage of a user who did not exist before, whose name begins with this, at the gateway that is drained or at the other one. */
  static async start(name: string, drain: Drain, isDrained: boolean): Promise<UserStage> {
    const balanced = isDrained ? gateways : [...gateways].reverse();
    return new UserStage(`${name}-${randomUUID()}`, await Balancer.start(balanced), drain);
  }

  async token(life: number, age: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    this.#tokens += 1;
    return sign({ sub: this.user, sid: this.session, iat: now - age, exp: now + life, jti: String(this.#tokens) });
  }

  async publish(message: string): Promise<void> {
    const data = { accountType: "github", status: "error", metadata: { errorMessage: message } };
    await internal("POST", `/v1/users/${this.user}/events`, { event: "account:status_changed", data });
  }

  /** Publishes an alert with this message. */
  async alert(message: string): Promise<void> {
    const data = { severity: "high", type: "suspicious_login", message, requiresAction: false };
    await internal("POST", `/v1/users/${this.user}/events`, { event: "security:alert", data });
  }

  async cut(): Promise<void> {
    this.balancer.cut();
  }

  async allow(): Promise<void> {
    this.balancer.allow();
  }

  async endSessions(): Promise<void> {
    await internal("DELETE", `/v1/users/${this.user}/sessions`);
  }

  async code(secret: string): Promise<string> {
    return totp(secret);
  }

  async drain(): Promise<void> {
    return this.#drain.ask();
  }

  /** Number of the user's sockets on all gateways. */
  async sockets(): Promise<number> {
    const { connections } = await internal("GET", `/v1/users/${this.user}/connections`);
    return Array.isArray(connections) ? connections.length : 0;
  }
}
