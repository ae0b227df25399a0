/** The state machine of a connection, without a network. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { CloseInfo } from "../../src/close.js";
import { type Effect, type Input, Machine } from "../../src/machine.js";
import type { Token } from "../../src/token.js";

const NOW = 1_000_000;

function token(text: string, life = 3_600_000, userId = "GEN-001"): Token {
  return { text, userId, sessionId: "default", expiresAt: NOW + life, issuedAt: NOW };
}

class Run {
  readonly machine = new Machine({ min: 1000, max: 30_000 });
  now = NOW;

  on(input: Input): Effect[] {
    return this.machine.on(input, { now: this.now, random: 1, toLocal: (server) => server });
  }

  live(first = token("a")): this {
    this.on({ type: "start" });
    this.on({ type: "token", token: first });
    this.on({ type: "opened", recovered: false });
    return this;
  }

  closed(close: Partial<CloseInfo>): Effect[] {
    return this.on({ type: "closed", close: { code: 1006, reason: "", ...close } });
  }

  get status(): string {
    return this.machine.state.status;
  }
}

function timers(effects: Effect[]): [string, number][] {
  return effects.flatMap((effect) => (effect.type === "set_timer" ? [[effect.timer, effect.delay]] : []));
}

function opens(effects: Effect[]): boolean[] {
  return effects.flatMap((effect) => (effect.type === "open" ? [effect.resume] : []));
}

describe("a connection", () => {
  test("fetches a token, opens, and plans the refresh at two thirds of its life", () => {
    const run = new Run();
    assert.deepEqual(run.on({ type: "start" }).at(-1), { type: "fetch_token" });
    assert.deepEqual(opens(run.on({ type: "token", token: token("a") })), [true]);
    assert.deepEqual(timers(run.on({ type: "opened", recovered: false })), [["refresh", 2_400_000]]);
    assert.deepEqual(run.machine.state, { status: "live", recovered: false, userId: "GEN-001", sessionId: "default" });
  });

  test("delays double up to the bound and start again once it was live", () => {
    const run = new Run().live();
    const delays: number[] = [];
    for (let failures = 0; failures < 7; failures += 1) {
      delays.push(timers(run.closed({}))[0]?.[1] ?? 0);
      run.on({ type: "timer", timer: "retry" });
      run.on({ type: "token", token: token("a") });
    }
    assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    run.on({ type: "opened", recovered: true });
    assert.deepEqual(timers(run.closed({})), [["retry", 1000]]);
  });

  test("comes back when a draining gateway says, and resumes", () => {
    const run = new Run().live();
    assert.deepEqual(timers(run.closed({ code: 1012, reason: "restart; reconnect-after-ms=2500" })), [["retry", 2500]]);
    assert.deepEqual(run.machine.state, {
      status: "waiting",
      retryAt: NOW + 2500,
      cause: "restart; reconnect-after-ms=2500",
    });
    run.on({ type: "timer", timer: "retry" });
    assert.deepEqual(opens(run.on({ type: "token", token: token("a") })), [true]);
  });

  test("backs off and does not resume where another socket has resumed or too much was sent", () => {
    const run = new Run().live();
    assert.deepEqual(timers(run.closed({ code: 4429 })), [["retry", 16_000]]);
    run.on({ type: "timer", timer: "retry" });
    assert.deepEqual(opens(run.on({ type: "token", token: token("a") })), [false]);
  });

  for (const close of [
    { code: 4401 },
    { code: 4403 },
    { code: 4400 },
    { code: 1002 },
    { code: 1007 },
    { code: 4401, ended: "idle" as const },
    { code: 4403, ended: "ended" as const },
    { code: 1006, refusal: { code: "forbidden" as const, message: "no" } },
    { code: 4401, refusal: { code: "unauthenticated" as const, message: "no", reason: "signature" as const } },
  ]) {
    test(`stays disconnected until connect after ${JSON.stringify(close)}`, () => {
      const run = new Run().live();
      const effects = run.closed(close);
      assert.equal(run.status, "stopped");
      assert.deepEqual(timers(effects), []);
      assert.deepEqual(run.on({ type: "timer", timer: "retry" }), []);
      assert.deepEqual(run.on({ type: "online" }), []);
      assert.deepEqual(run.on({ type: "start" }).at(-1), { type: "fetch_token" });
    });
  }

  test("asks once for another token after an expired one, and stops at the second refusal", () => {
    const expired = { code: 4401, refusal: { code: "unauthenticated" as const, message: "no", reason: "expired" as const } };
    const run = new Run().live();
    assert.deepEqual(run.closed(expired).at(-1), { type: "fetch_token" });
    assert.deepEqual(opens(run.on({ type: "token", token: token("b") })), [true]);
    run.closed(expired);
    assert.equal(run.status, "stopped");
  });

  test("stops where the source gives the expired token again", () => {
    const run = new Run().live();
    run.closed({ code: 4401, ended: "token_expired" });
    run.on({ type: "token", token: token("a") });
    assert.equal(run.status, "stopped");
  });

  test("replaces its token in time, and again after a failure", () => {
    const run = new Run().live();
    assert.deepEqual(run.on({ type: "timer", timer: "refresh" }).at(-1), { type: "fetch_token" });
    assert.deepEqual(run.on({ type: "token", token: token("b") }), [{ type: "refresh", token: token("b") }]);
    assert.deepEqual(timers(run.on({ type: "refresh_failed" })), [["refresh", 5000]]);
    run.on({ type: "timer", timer: "refresh" });
    assert.deepEqual(timers(run.on({ type: "token_failed", cause: "away" })), [["refresh", 5000]]);
    assert.deepEqual(timers(run.on({ type: "refreshed", token: token("c", 9000) })), [["refresh", 6000]]);
    assert.equal(run.status, "live");
  });

  test("takes the warning of the gateway for its clock, but never refreshes later by it", () => {
    const run = new Run().live();
    assert.deepEqual(timers(run.on({ type: "token_ends", within: 300_000 })), [["refresh", 200_000]]);
    assert.deepEqual(run.on({ type: "token_ends", within: 600_000 }), []);
  });

  test("refuses the token of another user or session", () => {
    const run = new Run().live();
    run.on({ type: "timer", timer: "refresh" });
    run.on({ type: "token", token: token("b", 3_600_000, "GEN-002") });
    assert.equal(run.status, "stopped");
  });

  test("gives up an attempt that does not become live, and tries again at once when the network returns", () => {
    const run = new Run();
    run.on({ type: "start" });
    run.on({ type: "token", token: token("a") });
    assert.deepEqual(run.on({ type: "timer", timer: "open" })[0], { type: "close" });
    assert.equal(run.status, "waiting");
    assert.deepEqual(run.on({ type: "online" }).at(-1), { type: "fetch_token" });
  });

  test("is idle after stop, whatever arrives late", () => {
    const run = new Run().live();
    run.on({ type: "stop" });
    for (const input of [
      { type: "opened", recovered: true },
      { type: "token", token: token("b") },
      { type: "closed", close: { code: 1006, reason: "" } },
      { type: "timer", timer: "refresh" },
    ] satisfies Input[]) {
      assert.deepEqual(run.on(input), []);
    }
    assert.equal(run.status, "idle");
  });
});
