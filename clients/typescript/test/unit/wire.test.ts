/** Frames, tokens, repetitions and slots. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../../src/frame.js";
import { Repetitions } from "../../src/repetitions.js";
import { Slots } from "../../src/slots.js";
import { readToken } from "../../src/token.js";

test("a batch is read frame by frame, and what is no frame is left out", () => {
  const frame = { event: "security:alert", data: { alertId: "1" }, offset: "e-1", eventId: "1" };
  assert.deepEqual(decode(JSON.stringify([frame, { data: {} }, null, 7])), [{ ...frame, id: undefined }]);
  const ready = { event: "ready", data: {}, offset: null, eventId: undefined, id: undefined };
  assert.deepEqual(decode('{"event":"ready"}'), [ready]);
  for (const broken of ["", "{", "null", '"text"']) assert.deepEqual(decode(broken), []);
});

test("a request without an id has none on the wire", () => {
  assert.equal(encode("auth", { token: "t", resume: undefined }), '{"event":"auth","data":{"token":"t"}}');
  assert.equal(encode("account:list", {}, "1"), '{"event":"account:list","data":{},"id":"1"}');
});

function jwt(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
}

test("claims of a token are read in UTF-8, with a session of any kind", () => {
  const times = { exp: 1_800_000_000.5, iat: "1700000000" };
  assert.deepEqual(readToken(jwt({ sub: "GEN-001", ...times })), {
    text: jwt({ sub: "GEN-001", ...times }),
    userId: "GEN-001",
    sessionId: "default",
    expiresAt: 1_800_000_000_500,
    issuedAt: 1_700_000_000_000,
  });
  assert.equal(readToken(jwt({ sub: "é>?", exp: 1, sid: 7 }))?.sessionId, "7");
  assert.equal(readToken(jwt({ sub: "é>?", exp: 1 }))?.userId, "é>?");
});

test("a text that is no token has no claims", () => {
  for (const text of ["", "a.b.c", jwt({ sub: "u" }), jwt({ exp: 1 }), jwt([]), "x.bnVsbA.x"]) {
    assert.equal(readToken(text), undefined, text);
  }
});

test("an event is first once, and among the last 512 only", () => {
  const repetitions = new Repetitions();
  assert.equal(repetitions.isFirst("a"), true);
  assert.equal(repetitions.isFirst("a"), false);
  assert.equal(repetitions.isFirst(undefined), true);
  assert.equal(repetitions.isFirst(undefined), true);
  for (let id = 0; id < 512; id += 1) repetitions.isFirst(String(id));
  assert.equal(repetitions.isFirst("511"), false);
  assert.equal(repetitions.isFirst("a"), true);
});

test("no more tasks run than there are slots, and no more wait than the queue takes", async () => {
  const slots = new Slots(1, 1);
  const ends: (() => void)[] = [];
  const task = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
  const first = slots.run(task);
  const second = slots.run(task);
  await assert.rejects(slots.run(task), { code: "overloaded" });
  assert.equal(ends.length, 1);
  ends[0]?.();
  await first;
  while (ends.length < 2) await new Promise(setImmediate);
  ends[1]?.();
  await second;
  await slots.run(async () => undefined);
});
