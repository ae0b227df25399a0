/** Countdown of the session and the server's clock. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerClock } from "../../src/clock.js";
import { UNKNOWN, counted } from "../../src/countdown.js";

const NOW = Date.parse("2026-11-30T12:00:00.000Z");
/** This machine is an hour behind the server. */
const skewed = { now: NOW - 3_600_000, toLocal: (server: number) => server - 3_600_000 };

/** Time after so many seconds, by the server's clock. */
const server = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString();
const local = (seconds: number): number => skewed.now + seconds * 1000;

/** Ends after so many seconds, as a message has them. */
function ends(session: number, token: number, passed = 0): Record<string, unknown> {
  const expiresAt = server(Math.min(session, token));
  return { expiresAt, sessionExpiresAt: server(session), tokenExpiresAt: server(token), serverTime: server(passed) };
}

const answered = { ...skewed, sent: skewed.now };

test("the earlier end counts, by the clock of the server that names both", () => {
  // A clock that knows nothing of the server's.
  const wrong = { ...answered, toLocal: (time: number) => time };
  const limited = counted(UNKNOWN, "security:extend_session", { ...ends(1800, 900), canExtend: false }, wrong);
  assert.deepEqual(limited, {
    expiresAt: local(900),
    sessionExpiresAt: local(1800),
    tokenExpiresAt: local(900),
    timeout: 1_800_000,
    isWarned: false,
    canExtend: false,
  });
  const free = counted(limited, "auth:refresh", ends(1800, 3600), wrong);
  assert.deepEqual([free.expiresAt, free.canExtend], [local(1800), true]);
  assert.equal(counted(UNKNOWN, "ready", ends(1800, 3600), wrong).expiresAt, local(1800));
});

test("a warning counts in seconds, and an extension that moves the end takes it back", () => {
  const warned = counted(UNKNOWN, "security:session_warning", { expiresIn: 300, canExtend: true, ...ends(299, 3600) }, skewed);
  assert.deepEqual([warned.expiresAt, warned.isWarned, warned.canExtend], [local(300), true, true]);
  const extended = counted(warned, "security:session_extended", ends(1800, 3600), skewed);
  assert.deepEqual([extended.expiresAt, extended.isWarned], [local(1800), false]);
  const limited = counted(warned, "security:session_extended", ends(1800, 900), skewed);
  assert.deepEqual([limited.expiresAt, limited.isWarned, limited.canExtend], [local(900), false, false]);
});

test("an extension that the token limits leaves the warning, and a new token takes it back", () => {
  const ofToken = counted(UNKNOWN, "security:session_warning", { expiresIn: 60, canExtend: false, ...ends(1800, 60) }, skewed);
  const extended = counted(ofToken, "security:session_extended", ends(1800, 60), skewed);
  assert.deepEqual([extended.expiresAt, extended.isWarned, extended.canExtend], [local(60), true, false]);
  const refreshed = counted(extended, "auth:refresh", ends(1800, 3600), answered);
  assert.deepEqual([refreshed.expiresAt, refreshed.isWarned, refreshed.canExtend], [local(1800), false, true]);
});

test("messages of a node of the release before name one end", () => {
  const warned = counted(UNKNOWN, "security:session_warning", { expiresIn: 300, canExtend: true }, skewed);
  assert.deepEqual([warned.expiresAt, warned.isWarned, warned.sessionExpiresAt], [local(300), true, null]);
  const extended = counted(warned, "security:session_extended", { expiresAt: server(1800), canExtend: true }, skewed);
  assert.deepEqual([extended.expiresAt, extended.isWarned, extended.canExtend], [local(1800), false, true]);
  assert.deepEqual(counted(UNKNOWN, "auth:refresh", {}, answered), UNKNOWN);
});

test("the own session among the listed ones names the end", () => {
  const sessions = [
    { current: false, expiresAt: server(10), sessionExpiresAt: server(10) },
    { current: true, ...ends(600, 3600) },
  ];
  const listed = counted(UNKNOWN, "security:sessions", { sessions, serverTime: server(0) }, answered);
  assert.equal(listed.expiresAt, local(600));
  assert.equal(counted(UNKNOWN, "security:sessions", { sessions: [] }, answered), UNKNOWN);
});

test("each answer moves the end by the timeout, from the time at which its command was sent", () => {
  const known = counted(UNKNOWN, "security:extend_session", ends(1800, 3600), answered);
  const later = { ...skewed, now: local(70), sent: local(60) };
  const moved = counted(known, "account:list", { expiresAt: server(9) }, later);
  assert.deepEqual([moved.expiresAt, moved.sessionExpiresAt], [local(1860), local(1860)]);
  assert.equal(counted(known, "account:list", {}, answered), known, "nothing has moved");
  assert.equal(counted(known, "security:alert", {}, skewed), known, "an event is no activity");
  assert.equal(counted(UNKNOWN, "account:list", {}, later), UNKNOWN);
  const warned = { ...known, isWarned: true };
  assert.equal(counted(warned, "account:list", {}, later), warned, "the gateway says it");
});

test("a changed timeout counts from the last activity", () => {
  const known = counted(UNKNOWN, "security:extend_session", ends(1800, 7200), answered);
  const longer = counted(known, "security:settings_updated", { settings: { sessionTimeout: 60 } }, skewed);
  assert.deepEqual([longer.expiresAt, longer.timeout], [local(3600), 3_600_000]);
});

test("a passed time moves the clock forward alone, and an exact one settles it", () => {
  const clock = new ServerClock();
  clock.passed(900, 1000);
  assert.equal(clock.toLocal(5000), 5000);
  clock.passed(1500, 1000);
  assert.equal(clock.toLocal(5000), 4500);
  clock.set(400, 1000);
  clock.passed(2000, 1000);
  assert.equal(clock.toLocal(5000), 5600);
});
