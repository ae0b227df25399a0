// Proves that the watch finds each payload on a page that escapes nothing.
const assert = require("node:assert/strict");
const { launch } = require("./chromium.cjs");
const { PAYLOADS } = require("./payloads.cjs");
const { inspect, watch } = require("./watch.cjs");

const EXPECTED = {
  script: /script of script ran/,
  image: /script of image ran/,
  singleQuoted: /handler onfocus|script of single ran/,
  doubleQuoted: /handler onfocus|script of double ran/,
  closing: /script of closing ran/,
  scriptUrl: /A href=javascript:/,
  dataUrl: /A href=data:/,
  external: /request to https:\/\/evil.example\/a.png/,
  style: /injected STYLE/,
  base: /injected BASE/,
  refresh: /request to https:\/\/evil.example\/refresh/,
  bidi: /override not isolated/,
  long: /pixels wide/,
};

// The text in every place of a page.
const unescaped = (text) =>
  `<!doctype html><title>${text}</title><p>a ${text} b</p><input value="${text}"><input value='${text}'><a href="${text}">x</a>`;

async function main() {
  const browser = await launch();
  const context = await browser.newContext({ viewport: { width: 360, height: 700 } });
  const findings = await watch(context, ["http://page.example"]);
  let response;
  await context.route("**/*", (route) =>
    route.request().url() === "http://page.example/" ? route.fulfill(response) : route.abort(),
  );
  for (const [name, text] of Object.entries(PAYLOADS)) {
    findings.length = 0;
    response = { contentType: "text/html; charset=utf-8", body: unescaped(text) };
    const page = await context.newPage();
    await page.goto("http://page.example/");
    // A payload may have led elsewhere already.
    findings.push(...(await inspect(page).catch(() => [])));
    if (EXPECTED[name]) assert.match(findings.join("\n"), EXPECTED[name], name);
    await page.close();
  }
  // A policy that is violated is a finding too, though no script ran.
  findings.length = 0;
  const headers = { "content-security-policy": "default-src 'none'", "content-type": "text/html" };
  response = { headers, body: unescaped(PAYLOADS.script) };
  const page = await context.newPage();
  await page.goto("http://page.example/");
  await page.evaluate(() => new Promise((done) => setTimeout(done)));
  assert.match(findings.join("\n"), /policy violated: script-src/);
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
