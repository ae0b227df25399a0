// Hostile device names, account names, alerts and notifications in the demo: each is shown as text, also among the messages on the wire.
const assert = require("node:assert/strict");
const { io } = require("socket.io-client");
const { launch } = require("./chromium.cjs");
const { PAYLOADS } = require("./payloads.cjs");
const { inspect, visible, watch } = require("./watch.cjs");

const { SIMULATOR } = process.env;
const GATEWAYS = process.env.GATEWAYS.split(",");
const [GATEWAY] = GATEWAYS;
// Each user links some of the accounts: a user has a limit of links per minute.
const USERS = ["GEN-001", "GEN-002", "GEN-003"];

// Asks the demo's API as its page does.
async function ask(context, name, data) {
  const response = await context.request.post(`${GATEWAY}/demo/api/${name}`, { data, headers: { origin: GATEWAY } });
  return { status: response.status(), ...(await response.json()) };
}

async function control(path, body) {
  const response = await fetch(`${SIMULATOR}/_control/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 201, await response.text());
}

// A device of this user that stays connected.
async function device(context, userId, deviceName) {
  const { token } = await ask(context, "token", { userId });
  const socket = io(GATEWAY, { transports: ["websocket"], auth: { token, deviceName }, forceNew: true, reconnection: false });
  await new Promise((connected, failed) => {
    socket.on("connect", connected);
    socket.on("connect_error", failed);
  });
  return socket;
}

// Page of a signed-in user, which shows each message in full.
async function signIn(context, userId) {
  const page = await context.newPage();
  await page.goto(`${GATEWAY}/demo`);
  await page.getByRole("radio", { name: userId }).check({ force: true });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live on gateway").waitFor();
  await page.getByRole("checkbox", { name: "Expand" }).check();
  return page;
}

async function shows(page, selector, text) {
  const expected = visible(text).slice(0, 50);
  const isThere = async () => visible(await page.locator(selector).innerText()).includes(expected);
  for (const end = Date.now() + 60_000; !(await isThere()); ) {
    assert.ok(Date.now() < end, `${JSON.stringify(expected)} in ${selector}: ${await page.locator(selector).innerText()}`);
    await page.waitForTimeout(50);
  }
}

// One user's page with one hostile text in every place.
async function attack(context, page, userId, text) {
  const socket = await device(context, userId, text);
  // A code with NUL is refused.
  const login = text.replaceAll("\u0000", "");
  const linked = await socket.emitWithAck("account:connect", {
    userId,
    accountType: "telegram",
    oauthCode: `test_code_${login}`,
    redirectUri: "http://localhost:3000/callback",
  });
  assert.equal(linked.success, true, JSON.stringify(linked));
  await shows(page, "#accounts", text);
  const published = await ask(context, "alert", { userId, message: text, metadata: { [text.slice(0, 50)]: text.slice(0, 50) } });
  assert.ok([202, 400].includes(published.status), JSON.stringify(published));
  if (published.status === 202) await shows(page, "#alerts", text);
  // Of somebody else: a user is not notified of own messages.
  await control("telegram/messages", { author: `${text}.`, mentions: [login], text });
  await shows(page, "#notifications", text);
  await page.getByRole("button", { name: "Refresh", exact: true }).click();
  await shows(page, "#devices", visible(text).slice(0, 20));
  const findings = await inspect(page);
  await socket.emitWithAck("account:disconnect", { userId, accountType: "telegram" });
  socket.disconnect();
  return findings;
}

async function main() {
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
  const sockets = GATEWAYS.map((url) => url.replace("https", "wss"));
  const findings = await watch(context, [SIMULATOR, ...GATEWAYS, ...sockets]);
  const payloads = Object.entries(PAYLOADS);
  for (const [index, userId] of USERS.entries()) {
    const page = await signIn(context, userId);
    for (const [name, text] of payloads.filter((_, number) => number % USERS.length === index)) {
      findings.push(...(await attack(context, page, userId, text)));
      assert.deepEqual(findings, [], name);
    }
    await page.setViewportSize({ width: 360, height: 740 });
    findings.push(...(await inspect(page)));
    await page.getByRole("button", { name: /^On the wire/ }).click();
    findings.push(...(await inspect(page)));
    assert.deepEqual(findings, [], "in a narrow window");
    await page.close();
  }
  await browser.close();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
