/** Names of `protocol.ts` against the Rust types that define the contract. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { RESPONSES } from "../../src/protocol.js";

const root = join(import.meta.dirname, "../../../../..");
const rust = (path: string): string => readFileSync(join(root, "crates/protocol/src", path), "utf8");
const contract = readFileSync(join(root, "clients/typescript/src/protocol.ts"), "utf8");

/** Members of a union of literals. */
function union(name: string): string[] {
  const declared = new RegExp(`export type ${name} =([^;]*);`).exec(contract)?.[1];
  assert.ok(declared, name);
  return [...declared.matchAll(/"([^"]+)"|\b(\d{4})\b/g)].map(([, text, number]) => text ?? number ?? "");
}

/** Texts in the match arms of one `impl`. */
function arms(source: string, type: string, arm: RegExp): string[] {
  const start = source.indexOf(`impl ${type} {`);
  assert.notEqual(start, -1, type);
  const end = source.indexOf("\n}\n", start);
  return [...source.slice(start, end).matchAll(arm)].map(([, name]) => name ?? "");
}

/** Names of an enumeration in snake case, as serde writes them. */
function variants(source: string, type: string): string[] {
  const body = new RegExp(`pub enum ${type} \\{([^}]*)\\}`).exec(source)?.[1] ?? "";
  return [...body.matchAll(/^ {4}([A-Z]\w*),/gm)].map(([, name = ""]) =>
    name.replace(/(?<!^)[A-Z]/g, (c) => `_${c}`).toLowerCase(),
  );
}

const QUOTED = /=> "([^"]+)"/g;

test("enumerations have the names of the contract", () => {
  const [security, account, code] = [rust("security.rs"), rust("account.rs"), rust("code.rs")];
  assert.deepEqual(union("Severity"), arms(security, "Severity", QUOTED));
  assert.deepEqual(union("AlertType"), arms(security, "AlertType", QUOTED));
  assert.deepEqual(union("FactorMethod"), arms(security, "FactorMethod", QUOTED));
  assert.deepEqual(union("AccountType"), arms(account, "AccountType", QUOTED));
  assert.deepEqual(union("AccountStatus"), arms(account, "AccountStatus", QUOTED));
  assert.deepEqual(union("TokenFault"), arms(code, "TokenFault", QUOTED));
  assert.deepEqual(union("ErrorCode"), arms(code, "ErrorCode", /=> \(\s*"([^"]+)"/g));
  assert.deepEqual(union("CloseCode"), arms(code, "CloseCode", /=> (\d{4})/g));
  assert.deepEqual(union("SessionEnd"), variants(security, "SessionEnd"));
  assert.deepEqual(union("ExtensionLimit"), variants(rust("expiry.rs"), "ExtensionLimit"));
  assert.deepEqual(union("NotificationType"), variants(rust("notification.rs"), "NotificationType"));
});

test("commands and answers have the names of the policy table", () => {
  const rows = rust("command/policy.rs").matchAll(/\("([^"]+)", \w+\) -> \("([^"]+)", \w+\)/g);
  const table = Object.fromEntries([...rows].map(([, event, response]) => [event, response]));
  assert.deepEqual({ ...RESPONSES }, table);
});

test("events have the names of the contract", () => {
  const names = [...rust("event.rs").matchAll(/pub const \w+: &str = "([^"]+)"/g)].map(([, name]) => name ?? "");
  // Between gateways, and the first messages of a plain WebSocket.
  const others = new Set(["socket:surplus", "ready", "auth"]);
  const body = /export interface ServerEvents \{([^}]*)\}/.exec(contract)?.[1] ?? "";
  const events = [...body.matchAll(/^ {2}"?([\w:]+)"?: /gm)].map(([, name]) => name ?? "");
  const answers = ["account:connect_response", "security:session_extended"];
  assert.deepEqual(events.filter((name) => !answers.includes(name)).sort(), names.filter((name) => !others.has(name)).sort());
});
