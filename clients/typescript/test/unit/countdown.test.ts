/** Countdown of the session and the server's clock. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerClock } from "../../src/clock.js";
import { UNKNOWN, counted } from "../../src/countdown.js";

const NOW = Date.parse("2026-11-30T12:00:00.000Z");
/** This machine is an hour behind the server. */
const skewed = { now: NOW - 3_600_000, toLocal: (server: number) => server - 3_600_000 };

test("a warning counts in seconds, an extension by the server's clock", () => {
  const warned = counted(UNKNOWN, "security:session_warning", { expiresIn: 300, canExtend: true }, skewed);
  assert.deepEqual(warned, { expiresAt: skewed.now + 300_000, isWarned: true, canExtend: true });
  const extension = { expiresAt: "2026-11-30T12:30:00.000Z", canExtend: true };
  const extended = counted(warned, "security:session_extended", extension, skewed);
  assert.deepEqual(extended, { expiresAt: skewed.now + 1_800_000, isWarned: false, canExtend: true });
});

test("a new token ends the warning of the old one, and no other", () => {
  const ofToken = counted(UNKNOWN, "security:session_warning", { expiresIn: 60, canExtend: false }, skewed);
  assert.deepEqual(counted(ofToken, "auth:refresh", {}, skewed), UNKNOWN);
  const ofSession = counted(UNKNOWN, "security:session_warning", { expiresIn: 60, canExtend: true }, skewed);
  assert.equal(counted(ofSession, "auth:refresh", {}, skewed), ofSession);
});

test("the own session among the listed ones names the end", () => {
  const sessions = [
    { current: false, expiresAt: "2026-11-30T15:00:00.000Z" },
    { current: true, expiresAt: "2026-11-30T12:10:00.000Z" },
  ];
  assert.equal(counted(UNKNOWN, "security:sessions", { sessions }, skewed).expiresAt, skewed.now + 600_000);
  assert.equal(counted(UNKNOWN, "security:sessions", { sessions: [] }, skewed), UNKNOWN);
  assert.equal(counted(UNKNOWN, "account:list", { expiresAt: "2026-11-30T15:00:00.000Z" }, skewed), UNKNOWN);
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
