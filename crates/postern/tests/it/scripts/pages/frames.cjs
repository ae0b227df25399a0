// Frames of the pages in a page of another origin: Chromium must show none of them.
const assert = require("node:assert/strict");
const http = require("node:http");
const { launch } = require("./chromium.cjs");

// TARGETS: URLs to frame. PAGES: those of them that are pages, to see each header block alone.
const { TARGETS, PAGES } = process.env;
const BLOCKED = "chrome-error://chromewebdata/";
// A frame without a document of its own, such as that of an object whose content was refused.
const EMPTY = ["about:blank", ""];

// Page of an attacker, that frames whatever its query names, in every element that can.
const attacker = http.createServer((request, response) => {
  const urls = new URL(request.url, "http://localhost").searchParams.getAll("url");
  const quoted = urls.map((url) => url.replaceAll("&", "&amp;").replaceAll('"', "&quot;"));
  const frames = quoted.map((url) => `<iframe src="${url}"></iframe><object data="${url}"></object><embed src="${url}">`);
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html><title>attacker</title>${frames.join("")}`);
});

// URLs that are shown in the frames of the attacker's page, once `count` of them are, or the iframe of each URL is blocked.
async function framed(context, urls, count) {
  const page = await context.newPage();
  const query = urls.map((url) => `url=${encodeURIComponent(url)}`).join("&");
  await page.goto(`http://localhost:${attacker.address().port}/?${query}`, { waitUntil: "load" });
  for (const end = Date.now() + 60_000; ; await page.waitForTimeout(20)) {
    // The load event comes before the URL of each frame is known here.
    const frames = page.frames().slice(1).map((frame) => frame.url());
    const blocked = frames.filter((url) => url === BLOCKED);
    const shown = frames.filter((url) => url !== BLOCKED && !EMPTY.includes(url));
    const isSettled = count > 0 ? shown.length >= count : blocked.length >= urls.length;
    if (isSettled || Date.now() > end) {
      await page.close();
      assert.ok(isSettled, `not settled: ${frames}`);
      return shown;
    }
  }
}

// URLs that are shown in frames where the responses lack these headers.
async function framedWithout(browser, dropped, pages, count) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await context.route((url) => pages.includes(url.href), async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    for (const name of dropped) delete headers[name];
    // An object shows no response with the status of an error.
    await route.fulfill({ response, headers, status: 200 });
  });
  const shown = await framed(context, pages, count);
  await context.close();
  return shown;
}

async function main() {
  await new Promise((listening) => attacker.listen(0, "localhost", listening));
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  assert.deepEqual(await framed(context, JSON.parse(TARGETS), 0), []);
  const pages = JSON.parse(PAGES);
  const [policy, option] = ["content-security-policy", "x-frame-options"];
  for (const dropped of [[policy], [option]]) {
    assert.deepEqual(await framedWithout(browser, dropped, pages, 0), [], `without ${dropped}`);
  }
  // Without both, each of the three elements shows each page.
  const expected = pages.flatMap((url) => [url, url, url]);
  assert.deepEqual((await framedWithout(browser, [policy, option], pages, expected.length)).sort(), expected.sort());
  await browser.close();
  attacker.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
