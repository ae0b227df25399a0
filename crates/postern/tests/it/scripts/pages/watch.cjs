// Watches every page of a browser context for what hostile text could do there.
const ACTIVE = /^\s*(javascript|data|vbscript|blob):/i;

// Returns the list of findings, to which the pages add while they run. `allowed` are the origins that may be asked for anything.
exports.watch = async (context, allowed) => {
  const findings = [];
  // Twice the usual time, for a busy machine.
  context.setDefaultTimeout(60_000);
  await context.exposeBinding("reportFinding", ({ page }, what) => findings.push(`${what} on ${page.url()}`));
  await context.addInitScript(() => {
    window.canary = (name) => reportFinding(`script of ${name} ran`);
    addEventListener("securitypolicyviolation", (event) =>
      reportFinding(`policy violated: ${event.effectiveDirective} ${event.blockedURI}`),
    );
  });
  context.on("dialog", (dialog) => {
    findings.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== "data:" && !allowed.includes(origin)) findings.push(`request to ${request.url()}`);
  });
  return findings;
};

// Findings in the document as it is now: injected elements, handlers, addresses that are scripts, right-to-left overrides that reorder
// their surroundings, and text wider than the window.
exports.inspect = async (page) => {
  const found = await page.evaluate((active) => {
    const pattern = new RegExp(active, "i");
    const found = [];
    for (const element of document.querySelectorAll("*")) {
      if (element.classList.contains("injected")) found.push(`injected ${element.tagName}`);
      for (const { name, value } of element.attributes) {
        if (name.startsWith("on")) found.push(`handler ${name} in ${element.tagName}`);
        const isPicture = ["IMG", "LINK"].includes(element.tagName) && value.startsWith("data:image/");
        const isAddress = ["href", "src", "action", "formaction", "data", "xlink:href"].includes(name);
        if (isAddress && pattern.test(value) && !isPicture) found.push(`${element.tagName} ${name}=${value.slice(0, 80)}`);
      }
    }
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      if (!/[\u202A-\u202E\u2066-\u2069]/.test(texts.currentNode.data)) continue;
      const parent = texts.currentNode.parentElement;
      const { display, unicodeBidi } = getComputedStyle(parent);
      // Other words in the same text, or in the same block, are reordered too.
      const isFirst = /^\s*[\u202A-\u202E\u2066-\u2069]/.test(texts.currentNode.data);
      const isIsolate = unicodeBidi.includes("isolate") || unicodeBidi === "plaintext";
      const isIsolated = isFirst && (display === "inline" ? isIsolate : parent.childNodes.length === 1);
      if (!isIsolated && display !== "none") found.push(`override not isolated in ${parent.outerHTML.slice(0, 200)}`);
    }
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`${scrollWidth} pixels wide in a window of ${clientWidth}`);
    return found;
  }, ACTIVE.source);
  return found.map((what) => `${what} on ${page.url()}`);
};

// A text without the characters that HTML or a server drops, joins or replaces: for comparing what a page shows.
exports.visible = (text) => text.replace(/[\u0000-\u0020\u007f-\u009f\u2028\ufeff\ufffd]+/g, "");
