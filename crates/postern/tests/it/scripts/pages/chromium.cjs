// Debian's Chromium, or another by its usual path.
const fs = require("node:fs");
const { chromium } = require("playwright-core");

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

exports.launch = () => {
  const executablePath = PATHS.find((path) => fs.existsSync(path));
  if (!executablePath) throw new Error("no Chromium is installed: run .ci/test first");
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"];
  return chromium.launch({ executablePath, args });
};
