/** The client over a gateway that answers as the test says. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";

import { type Client, type ClientOptions, type SecondFactorPrompt, createClient } from "../../src/index.js";
import { lease } from "../../src/lease.js";
import { Read } from "../../src/read.js";
import { FakeGateway, jwt, until } from "./fake.js";

const TIMEOUT = { timeout: 10_000 };

function connected(t: TestContext, options: Partial<ClientOptions> = {}): { gateway: FakeGateway; client: Client } {
  const gateway = new FakeGateway();
  const client = createClient({
    url: "https://gateway.test",
    token: () => jwt(),
    transport: gateway.open,
    reconnectDelay: { min: 1, max: 5 },
    ...options,
  });
  client.connect();
  t.after(() => client.disconnect());
  return { gateway, client };
}

test("a command names its user and resolves with the success", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const list = client.send("account:list");
  const request = await gateway.next();
  assert.equal(request.event, "account:list");
  assert.equal(request.data["userId"], "GEN-001");
  assert.match(String(request.data["idempotencyKey"]), /^[0-9a-f]{32}$/);
  request.answer({ success: true, accounts: [] });
  assert.deepEqual((await list).accounts, []);
});

test("a failure rejects with its code and the time to wait", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const sync = client.send("account:sync", { accountType: "github" });
  const failure = { success: false, error: "rate_limited", message: "Too many.", retryAfter: 7 };
  (await gateway.next()).answer(failure);
  await assert.rejects(sync, { name: "PosternError", code: "rate_limited", retryAfter: 7, message: "Too many." });
});

test("a command whose outcome is unknown is repeated under its key", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const sync = client.send("account:sync", { accountType: "github" });
  const first = await gateway.next();
  gateway.closed();
  const second = await gateway.next();
  assert.deepEqual(second.data, first.data);
  second.answer({ success: false, error: "timeout", message: "" });
  const third = await gateway.next();
  assert.deepEqual(third.data, first.data);
  third.answer({ success: true, lastSynced: "", data: {} });
  await sync;
  assert.equal(gateway.targets.length, 2);
});

test("a command is given up at its deadline, and at once without a connection", TIMEOUT, async (t) => {
  const { client } = connected(t, { token: () => new Promise(() => undefined) });
  await assert.rejects(client.send("account:list", {}, { timeout: 20 }), { code: "timeout" });
  const waiting = client.send("account:list");
  client.disconnect();
  await assert.rejects(waiting, { code: "disconnected" });
  await assert.rejects(client.send("account:list"), { code: "disconnected" });
});

test("a command above 64 KiB is refused before it costs the connection", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const connect = { accountType: "github", oauthCode: "é".repeat(40_000), redirectUri: "" } as const;
  await assert.rejects(client.send("account:connect", connect), { code: "bad_request" });
  assert.equal(gateway.received.length, 0);
});

test("the next socket resumes after the last event that was handled", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  let fresh = 0;
  client.on("fresh", () => (fresh += 1));
  await until(() => client.state.status === "live");
  gateway.event("security:settings_updated", {}, "e-1", "1");
  gateway.event("security:session_warning", { expiresIn: 60, canExtend: true });
  gateway.recovers = true;
  gateway.closed();
  await until(() => gateway.targets.length === 2 && client.state.status === "live");
  assert.deepEqual(gateway.targets[1]?.resume, { resumeToken: "r1", offset: "e-1" });
  assert.equal(fresh, 1);
  gateway.recovers = false;
  gateway.closed();
  await until(() => fresh === 2);
  gateway.event("resync", {});
  assert.equal(fresh, 3);
});

test("a repeated event is dropped, and a listener that throws keeps no other from its event", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const shown: string[] = [];
  client.on("security:alert", () => {
    throw new Error("of a listener");
  });
  client.on("security:alert", ({ alertId }, { offset }) => shown.push(`${alertId} ${offset}`));
  await until(() => client.state.status === "live");
  const reported: (() => void)[] = [];
  t.mock.method(globalThis, "queueMicrotask", (report: () => void) => reported.push(report));
  gateway.event("security:alert", { alertId: "a" }, "e-1", "a");
  gateway.event("security:alert", { alertId: "a" }, "f-1", "a");
  assert.deepEqual(shown, ["a e-1"]);
  assert.equal(reported.length, 1);
  assert.throws(() => reported[0]?.(), { message: "of a listener" });
});

test("commands that need a code share one question, and are sent again", TIMEOUT, async (t) => {
  const prompts: SecondFactorPrompt[] = [];
  const { gateway, client } = connected(t, {
    secondFactor: async (prompt) => {
      prompts.push(prompt);
      return prompts.length === 1 ? "000000" : "123456";
    },
  });
  const needed = { success: false, error: "2fa_required", message: "" };
  const ends = [client.send("security:end_sessions", { sessionId: "a" }), client.send("security:end_sessions", { sessionId: "b" })];
  for (const request of [await gateway.next(), await gateway.next()]) {
    gateway.event("security:2fa_required", { sessionId: "challenge", method: "totp", expiresIn: 300 });
    request.answer(needed);
  }
  const wrong = await gateway.next();
  assert.deepEqual([wrong.event, wrong.data["sessionId"], wrong.data["token"]], ["security:verify_2fa", "challenge", "000000"]);
  wrong.answer({ success: false, error: "2fa_invalid", message: "" });
  const right = await gateway.next();
  assert.equal(right.data["token"], "123456");
  right.answer({ success: true, sessionExtended: true, expiresAt: "2026-11-30T12:00:00.000Z" });
  const again = [await gateway.next(), await gateway.next()];
  assert.deepEqual(again.map(({ data }) => data["sessionId"]), ["a", "b"]);
  for (const request of again) request.answer({ success: true, sessionsEnded: 1 });
  await Promise.all(ends);
  assert.deepEqual(prompts.map(({ error, command }) => [error?.code, command]), [
    [undefined, "security:end_sessions"],
    ["2fa_invalid", "security:end_sessions"],
  ]);
});

test("a command fails with 2fa_required where the user gives up or nobody asks", TIMEOUT, async (t) => {
  for (const options of [{ secondFactor: async () => null }, {}]) {
    const { gateway, client } = connected(t, options);
    const end = client.send("security:end_sessions", { sessionId: "others" });
    const request = await gateway.next();
    gateway.event("security:2fa_required", { sessionId: "c", method: "sms", expiresIn: 300 });
    request.answer({ success: false, error: "2fa_required", message: "" });
    await assert.rejects(end, { code: "2fa_required" });
  }
});

test("a renewed sign-in is presented and the command sent again", TIMEOUT, async (t) => {
  const renewed = jwt("GEN-001", 3600, { auth_time: 1 });
  const { gateway, client } = connected(t, { reauthenticate: async () => renewed });
  const update = client.send("security:update_settings", { settings: { twoFactorEnabled: true } });
  (await gateway.next()).answer({ success: false, error: "reauth_required", message: "" });
  const refresh = await gateway.next();
  assert.deepEqual([refresh.event, refresh.data["token"]], ["auth:refresh", renewed]);
  refresh.answer({ success: true, expiresAt: "2026-11-30T12:00:00.000Z" });
  (await gateway.next()).answer({ success: true, settings: {} });
  await update;
});

test("all is revoked with a confirmation token", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  const revoked = client.revokeAll();
  (await gateway.next()).answer({ success: true, confirmationToken: "c", expiresIn: 60 });
  const revoke = await gateway.next();
  assert.deepEqual([revoke.event, revoke.data["confirmationToken"]], ["security:revoke_all", "c"]);
  revoke.answer({ success: true, accountsDisconnected: 2 });
  assert.equal((await revoked).accountsDisconnected, 2);
});

test("a gateway that does not answer in time is left, and the command repeated", TIMEOUT, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  const { gateway, client } = connected(t);
  const list = client.send("account:list", {}, { timeout: 120_000 });
  await turns();
  const first = gateway.received.shift();
  assert.ok(first);
  t.mock.timers.tick(15_000);
  for (let waits = 0; waits < 20 && gateway.received.length === 0; waits += 1) {
    await turns();
    t.mock.timers.tick(50);
  }
  const second = gateway.received.shift();
  assert.deepEqual(second?.data, first.data);
  second?.answer({ success: true, accounts: [] });
  await list;
  client.disconnect();
});

test("a leased client stays connected until the last lease ends, also where one is renewed at once", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  await until(() => client.state.status === "live");
  lease(client)();
  const [first, second] = [lease(client), lease(client)];
  await new Promise((resolve) => setTimeout(resolve, 5));
  first();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(client.state.status, "live");
  assert.equal(gateway.targets.length, 1);
  second();
  await until(() => client.state.status === "idle");
});

test("components that read the same share one answer, which is read again after an event", TIMEOUT, async (t) => {
  const { gateway, client } = connected(t);
  await until(() => client.state.status === "live");
  const read = new Read(client, "account:list", ["account:status_changed"]);
  const removals = [read.subscribe(() => undefined), read.subscribe(() => undefined)];
  const first = await gateway.next();
  gateway.event("account:status_changed", {}, "e-1", "1");
  gateway.event("account:status_changed", {}, "e-2", "2");
  first.answer({ success: true, accounts: ["before"] });
  (await gateway.next()).answer({ success: true, accounts: ["after"] });
  await until(() => !read.state().isLoading);
  assert.deepEqual(read.state().data?.accounts, ["after"]);
  for (const remove of removals) remove();
  gateway.event("account:status_changed", {}, "e-3", "3");
  await turns();
  assert.equal(gateway.received.length, 0);
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}

test("a token is replaced before its end without a reconnect", TIMEOUT, async (t) => {
  let tokens = 0;
  const { gateway, client } = connected(t, { token: () => jwt("GEN-001", 4, { n: (tokens += 1) }) });
  const refresh = await gateway.next();
  assert.equal(refresh.event, "auth:refresh");
  const serverTime = new Date().toISOString();
  const ends = new Date(Date.now() + 900_000).toISOString();
  refresh.answer({ success: true, expiresAt: ends, sessionExpiresAt: ends, tokenExpiresAt: ends, serverTime });
  assert.equal((await gateway.next()).event, "auth:refresh");
  const left = (client.session.tokenExpiresAt ?? 0) - Date.now();
  assert.ok(left > 800_000 && left <= 900_000, `the countdown has the new token's end in ${left} ms`);
  assert.equal(gateway.targets.length, 1);
  assert.equal(client.state.status, "live");
});
