// Browsers on the demo of a running `postern dev`: each tab in a context of its own, watched for errors and for requests to other hosts.
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { launch } = require("../pages/chromium.cjs");

/** Ready line of `postern dev --json`. */
const dev = JSON.parse(process.env.DEV);
exports.dev = dev;

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const DEADLINE = 45_000;

/** Runs a scenario with a browser; the process fails where it does, and where a watched page has reported a problem but `expected` ones. */
exports.run = async (scenario, expected = []) => {
  const browser = await launch();
  const problems = [];
  try {
    await scenario({ browser, problems });
    assert.deepEqual(
      problems.filter((problem) => !expected.some((pattern) => pattern.test(problem))),
      [],
    );
  } catch (error) {
    console.error(error, problems);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
};

/** Opens the demo of a gateway in a context of its own, as a device of its own. */
exports.open = async ({ browser, problems }, { gateway = 0, width = 1280, height = 860, fragment = "", before } = {}) => {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width, height },
    reducedMotion: "reduce",
    colorScheme: "light",
  });
  context.setDefaultTimeout(DEADLINE);
  if (before) await context.addInitScript(before);
  const page = await context.newPage();
  watch(page, problems);
  await page.goto(`${dev.gateways[gateway]}/demo${fragment}`);
  return page;
};

/** Signs in by the button, and waits until the connection is live. */
exports.signIn = async (page, { device, user = "GEN-001", lifetime } = {}) => {
  await page.getByRole("radio", { name: user }).check();
  await page.getByRole("textbox", { name: "Name of this device" }).fill(device);
  if (lifetime) {
    await page.getByText("Lifetime of the token").click();
    await page.getByLabel("The token ends after").selectOption(lifetime);
  }
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
};

/** Waits until the connection to this gateway, or to any, is live. */
async function live(page, letter = "") {
  await page.getByText(`Live on gateway ${letter}`).waitFor();
}
exports.live = live;

/** Card with this heading. */
exports.card = (page, name) => page.getByRole("region", { name, exact: true });

/** Messages on the wire. */
exports.messages = (page) => page.getByRole("region", { name: "Messages" });

/** Reports errors of the console, of scripts and of the security policy, and requests to hosts that the page has no business with. */
function watch(page, problems) {
  const allowed = [...dev.gateways, dev.simulator].map((url) => new URL(url).host);
  const check = (url) => {
    const { protocol, host } = new URL(url);
    if (protocol !== "data:" && !allowed.includes(host)) problems.push(`request to ${url}`);
  };
  page.on("request", (request) => check(request.url()));
  page.on("websocket", (socket) => check(socket.url()));
  page.on("pageerror", (error) => problems.push(`script: ${error.stack}`));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} ${message.location().url}`);
  });
}

/** Finds no serious or critical fault of accessibility, in either theme. */
exports.accessible = async (page, state) => {
  await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    const found = serious.map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map((node) => `${node.html} ${node.failureSummary}`)
          .join("; ")}`,
    );
    assert.deepEqual(found, [], `${state}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
};

/** Writes a picture of each theme to the folder `PICTURES`. */
exports.photograph = async (page, name) => {
  fs.mkdirSync(process.env.PICTURES, { recursive: true });
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.screenshot({ path: path.join(process.env.PICTURES, `${name}-${theme}.png`) });
  }
  await page.emulateMedia({ colorScheme: "light" });
};

/** Fails where the page is wider than the window. */
exports.fits = async (page, state) => {
  const [scrollWidth, clientWidth] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(scrollWidth <= clientWidth, `${state}: ${scrollWidth} pixels in a window of ${clientWidth}`);
};

/** Waits until `value` returns something that is neither false nor null. */
exports.until = async (what, value) => {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = await value();
    if (found) return found;
    assert.ok(Date.now() < end, `${what} within ${DEADLINE} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** Publishes an alert by the internal API of a gateway, as an application's server does. */
exports.publish = async (gateway, message, user = "GEN-001") => {
  const data = { severity: "high", type: "suspicious_login", message, requiresAction: false };
  const { status } = await internal(gateway, `users/${user}/events`, { event: "security:alert", data });
  assert.equal(status, 202);
};

/** Posts to the internal API of a gateway. */
async function internal(gateway, route, body) {
  return fetch(`${dev.internal[gateway]}/v1/${route}`, {
    method: "POST",
    headers: { authorization: `Bearer ${dev.internalToken}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
exports.internal = internal;
