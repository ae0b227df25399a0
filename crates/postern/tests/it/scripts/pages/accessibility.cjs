// Consent, callback and index pages by keyboard, in both themes and in a narrow window, checked by axe.
const assert = require("node:assert/strict");
const { source } = require("axe-core");
const { launch } = require("./chromium.cjs");
const { inspect } = require("./watch.cjs");

// FLOWS: an authorization URL for each theme.
const { GATEWAY, SIMULATOR, FLOWS } = process.env;

async function check(page) {
  // By the debugger, which the policy of the page does not bind.
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual([...found, ...(await inspect(page))], [], page.url());
}

// Moves the focus by Tab to the button with this name, and presses it.
async function press(page, name) {
  const isFocused = () => page.evaluate((name) => document.activeElement?.textContent === name, name);
  for (let steps = 0; !(await isFocused()); steps++) {
    assert.ok(steps < 40, `${name} is not reached by Tab on ${page.url()}`);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", `the focus on ${name} is not visible`);
  await page.keyboard.press("Enter");
}

async function main() {
  const browser = await launch();
  for (const [index, colorScheme] of ["light", "dark"].entries()) {
    const viewport = { width: 360, height: 740 };
    const context = await browser.newContext({ ignoreHTTPSErrors: true, colorScheme, viewport });
    const page = await context.newPage();
    const pages = ["/", "/callback?code=a&state=b", "/nothing", "/github/login/oauth/authorize"].map((path) => SIMULATOR + path);
    for (const url of [...pages, `${GATEWAY}/oauth/callback/github`]) {
      await page.goto(url);
      await check(page);
    }
    await page.goto(JSON.parse(FLOWS)[index]);
    await check(page);
    const ground = await page.evaluate(() => getComputedStyle(document.querySelector("main")).backgroundColor);
    assert.equal(ground === "rgb(255, 255, 255)", colorScheme === "light", ground);
    await press(page, "Continue as ada");
    await page.getByRole("heading", { name: "Link a GitHub account" }).waitFor();
    await check(page);
    await press(page, "Link this account");
    await page.getByRole("heading", { name: "The GitHub account is linked" }).waitFor();
    await check(page);
    await context.close();
  }
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
