// Hostile names, ids and queries on the pages of the simulator and of the hosted callback: each is shown as text. A user links an account
// with each name, as a person in a browser does.
const assert = require("node:assert/strict");
const { launch } = require("./chromium.cjs");
const { PAYLOADS } = require("./payloads.cjs");
const { inspect, visible, watch } = require("./watch.cjs");

// FLOWS: an authorization for each payload, {user, authorizationUrl}.
const { GATEWAY, SIMULATOR, FLOWS } = process.env;

async function main() {
  const flows = JSON.parse(FLOWS);
  const payloads = Object.entries(PAYLOADS);
  assert.equal(flows.length, payloads.length);
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 360, height: 740 } });
  const findings = await watch(context, [SIMULATOR, GATEWAY]);
  const page = await context.newPage();
  const check = async () => findings.push(...(await inspect(page)));
  const open = async (url) => {
    await page.goto(url.toString());
    await check();
  };
  const shows = async (text) => {
    const shown = visible(await page.locator("main").innerText());
    assert.ok(shown.includes(visible(text).slice(0, 60)), `${JSON.stringify(text)} in ${JSON.stringify(shown)}`);
  };

  // All texts at once in the queries and paths; the override comes first, where it reorders nothing of its own text.
  const { bidi, ...others } = PAYLOADS;
  const all = [bidi, ...Object.values(others)].join(" ");
  for (const parameter of ["scope", "client_id", "redirect_uri", "code_challenge_method"]) {
    const url = new URL(flows[0].authorizationUrl);
    url.searchParams.set(parameter, all);
    if (parameter === "code_challenge_method") url.searchParams.set("redirect_uri", `${SIMULATOR}/callback`);
    await open(url);
  }
  const quoted = encodeURIComponent(all);
  await open(`${SIMULATOR}/callback?code=${quoted}&${quoted}=1`);
  await shows(bidi);
  await open(`${SIMULATOR}/${quoted}`);
  await open(`${GATEWAY}/${quoted}`);
  await open(`${GATEWAY}/oauth/callback/${quoted}`);
  await open(`${GATEWAY}/oauth/callback/github?error=access_denied&state=${encodeURIComponent(PAYLOADS.script)}`);
  assert.deepEqual(findings, []);

  for (const [index, [name, text]] of payloads.entries()) {
    const { user, authorizationUrl } = flows[index];
    await open(authorizationUrl);
    await page.getByRole("textbox", { name: "Another login" }).fill(text);
    await page.getByRole("button", { name: "Continue with this login" }).click();
    await page.getByRole("heading", { name: "Link a GitHub account" }).waitFor();
    await check();
    await shows(text);
    await shows(user);
    await page.getByRole("button", { name: "Link this account" }).click();
    await page.getByRole("heading", { name: "The GitHub account is linked" }).waitFor();
    await check();
    await shows(text);
    assert.deepEqual(findings, [], name);
  }
  // Lists the logins of all these accounts.
  await open(`${SIMULATOR}/`);
  await shows(PAYLOADS.script);
  assert.deepEqual(findings, []);
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
