// Forms and requests of other origins, in the browser of a victim who has the pages open: none may change anything. Afterwards the
// victim's own buttons still work.
const assert = require("node:assert/strict");
const http = require("node:http");
const { launch } = require("./chromium.cjs");

// VICTIM and ATTACKER: authorization URLs of two users, with the hosted callback as redirect URI.
const { GATEWAY, SIMULATOR, VICTIM, ATTACKER } = process.env;
const CALLBACK = `${GATEWAY}/oauth/callback/github`;

// Page of an attacker with a form that sends itself, on every name and address of this machine.
let form = "";
let isSandboxed = false;
const attacker = http.createServer((request, response) => {
  response.setHeader("content-type", "text/html");
  if (isSandboxed) response.setHeader("content-security-policy", "sandbox allow-forms allow-scripts");
  response.end(request.url === "/form" ? form : "<!doctype html><title>attacker</title>");
});

const quoted = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

// Sends a form from a page at `origin`, which in a sandbox is `null`; returns the status of the response.
async function send(context, origin, { action, fields, type = "application/x-www-form-urlencoded" }, inSandbox = false) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${quoted(name)}" value="${quoted(value)}">`);
  isSandboxed = inSandbox;
  form =
    `<!doctype html><form method=post action="${quoted(action)}" enctype="${type}">${inputs.join("")}</form>` +
    "<script>document.forms[0].submit()</script>";
  const page = await context.newPage();
  const isAttack = (response) => response.request().method() === "POST";
  const [response] = await Promise.all([page.waitForResponse(isAttack), page.goto(`${origin}/form`).catch(() => {})]);
  const { status, cookie } = { status: response.status(), cookie: (await response.request().allHeaders()).cookie };
  await page.close();
  return { status, cookie };
}

// Opens a page and returns the token in its form.
async function open(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  const token = await page.locator("input[name=token]").first().inputValue();
  return { page, token };
}

async function main() {
  await new Promise((listening) => attacker.listen(0, "0.0.0.0", listening));
  const { port } = attacker.address();
  // Another site, and another port of the pages' own host, which is the same site: cookies go along.
  const origins = [`http://localhost:${port}`, `http://127.0.0.1:${port}`];
  const browser = await launch();
  const [victim, thief] = await Promise.all([1, 2].map(() => browser.newContext({ ignoreHTTPSErrors: true })));

  // The consent page, open in both browsers; the attacker knows the victim's request and has a token for it.
  const consent = await open(victim, VICTIM);
  const ofThief = await open(thief, VICTIM);
  for (const origin of origins) {
    for (const fields of [{ login: "eve" }, { login: "eve", token: ofThief.token }, { deny: "1", token: ofThief.token }]) {
      for (const inSandbox of [false, true]) {
        const { status } = await send(victim, origin, { action: VICTIM, fields }, inSandbox);
        assert.equal(status, 403, `${origin} ${JSON.stringify(fields)}`);
      }
    }
    // Even with the right token, which no other origin can read.
    const stolen = await send(victim, origin, { action: VICTIM, fields: { login: "eve", token: consent.token } });
    assert.equal(stolen.status, 403, origin);
  }

  // The controls of the simulator, also with JSON in a form of plain text.
  const fault = '{"platform":"github","route":"token","kind":"garbage","times":"forever","x":"';
  for (const origin of origins) {
    for (const path of ["release", "github/expiring_tokens", "faults"]) {
      const fields = { [fault]: '"}' };
      const { status } = await send(victim, origin, { action: `${SIMULATOR}/_control/${path}`, fields, type: "text/plain" });
      assert.equal(status, 403, `${origin} ${path}`);
    }
  }

  // The demo's API, by forms of plain text and by requests of scripts; its answers to other origins cannot be read either.
  for (const origin of origins) {
    for (const [name, json] of [["kill", '{"gateway":1,"x":"'], ["token", '{"userId":"GEN-001","x":"']]) {
      for (const inSandbox of [false, true]) {
        const form = { action: `${GATEWAY}/demo/api/${name}`, fields: { [json]: '"}' }, type: "text/plain" };
        assert.equal((await send(victim, origin, form, inSandbox)).status, 403, `${origin} ${name}`);
      }
    }
    isSandboxed = false;
    const page = await victim.newPage();
    await page.goto(origin);
    const outcomes = await page.evaluate(async (url) => {
      const json = { method: "POST", headers: { "content-type": "application/json" }, body: '{"gateway":1}' };
      const blind = { method: "POST", mode: "no-cors", body: '{"gateway":1}' };
      const outcome = (options) => fetch(`${url}/demo/api/kill`, options).then(({ type }) => type, () => "refused");
      const readable = await fetch(`${url}/demo/api/cluster`).then(() => "readable", () => "refused");
      // The outcome of the blind request says nothing of what it did.
      await outcome(blind);
      return [await outcome(json), readable];
    }, GATEWAY);
    assert.deepEqual(outcomes, ["refused", "refused"], origin);
    await page.close();
  }

  // The confirmation page: the attacker's own pending link, and none at all.
  await ofThief.page.goto(ATTACKER);
  await ofThief.page.getByRole("button", { name: "Continue as alan", exact: true }).click();
  await ofThief.page.getByRole("button", { name: "Link this account" }).waitFor();
  const linkOfThief = await ofThief.page.locator("input[name=token]").inputValue();
  await consent.page.getByRole("button", { name: "Continue as ada", exact: true }).click();
  await consent.page.getByRole("button", { name: "Link this account" }).waitFor();
  const link = await consent.page.locator("input[name=token]").inputValue();
  for (const origin of origins) {
    for (const fields of [{}, { token: linkOfThief }, { token: link }]) {
      for (const inSandbox of [false, true]) {
        const { status, cookie } = await send(victim, origin, { action: CALLBACK, fields }, inSandbox);
        assert.equal(status, 400, `${origin} ${JSON.stringify(fields)}`);
        assert.equal(cookie, undefined, "a strict cookie stays at home");
      }
    }
  }

  // Nothing has happened, and the victim's own button links the account.
  const { gateways } = await (await victim.request.get(`${GATEWAY}/demo/api/cluster`)).json();
  assert.deepEqual(gateways.map((gateway) => gateway.isRunning), [true, true]);
  const state = await (await fetch(`${SIMULATOR}/_control/state`)).json();
  assert.deepEqual([state.faults, state.blocked], [[], []]);
  assert.deepEqual(state.tokens.map((token) => token.login).sort(), ["ada", "alan"]);
  await consent.page.getByRole("button", { name: "Link this account" }).click();
  await consent.page.getByRole("heading", { name: "The GitHub account is linked" }).waitFor();
  await browser.close();
  attacker.close();
  attacker.closeAllConnections();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
