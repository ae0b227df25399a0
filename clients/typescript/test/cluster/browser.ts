/** Chromium with a page that has the client as the ES modules that were built. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import { join, normalize } from "node:path";
import { connect } from "node:tls";

import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";

import { gateways, pagePort } from "./cluster.js";

const root = join(import.meta.dirname, "../../..");

/** Build of the example, with the packed client, which `check` has left. */
const example = join(root, "target/example/dist");

const PAGE = `<!doctype html><title>client</title>
<script type="importmap">{"imports": {"socket.io-client": "/node_modules/socket.io-client/dist/socket.io.esm.min.js"}}</script>
<script type="module" src="/target/test/cluster/page.js"></script>`;

/** Method of a user's stage, as a page calls it. */
export type CallStage = (user: string, method: string, args: unknown[]) => Promise<unknown>;

/** Server of the page and a browser for it. */
export class Chromium {
  readonly #server: Server;
  readonly #browser: Browser;

  private constructor(server: Server, browser: Browser) {
    this.#server = server;
    this.#browser = browser;
  }

  static async start(): Promise<Chromium> {
    const server = createServer((request, response) => {
      const { type, body } = file(new URL(request.url ?? "/", "http://page").pathname);
      response.setHeader("content-type", type);
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(pagePort, "127.0.0.1", resolve));
    // Chromium has no option to trust an authority, but one to accept the key of a certificate.
    const args = ["--no-sandbox", "--disable-dev-shm-usage", `--ignore-certificate-errors-spki-list=${await gatewayKey()}`];
    const browser = await chromium.launch({ executablePath: executable(), args });
    return new Chromium(server, browser);
  }

  /** Opens a context, whose pages share storage, channels and locks. */
  async context(callStage: CallStage): Promise<BrowserContext> {
    const context = await this.#browser.newContext();
    await context.exposeBinding("stage", (_source, user: string, method: string, args: unknown[]) =>
      callStage(user, method, args),
    );
    return context;
  }

  async end(): Promise<void> {
    await this.#browser.close();
    this.#server.close();
  }
}

/** File of the page or of the example; anything else is the page itself. */
function file(pathname: string): { type: string; body: string | Buffer } {
  const path = normalize(decodeURIComponent(pathname));
  if (path === "/example") return { type: "text/html", body: readFileSync(join(example, "index.html")) };
  const script = join(path.startsWith("/assets/") ? example : root, path);
  const isScript = /^\/(assets|target|node_modules)\/.*\.js$/.test(path) && existsSync(script);
  return isScript ? { type: "text/javascript", body: readFileSync(script) } : { type: "text/html", body: PAGE };
}

/** Opens the page in a new tab, and waits until it has its functions. */
export async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${pagePort}/`);
  await page.waitForFunction(() => "run" in window);
  return page;
}

function executable(): string {
  const names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const found = names.find(existsSync);
  if (found === undefined) throw new Error("no Chromium is installed: run .ci/test first");
  return found;
}

/** Digest of the public key of the gateways' certificate, base64. */
async function gatewayKey(): Promise<string> {
  const gateway = gateways[0];
  if (!gateway) throw new Error("GATEWAYS is empty");
  return new Promise((resolve, reject) => {
    const socket = connect({ host: gateway.hostname, port: Number(gateway.port) }, () => {
      const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
      socket.destroy();
      if (key) resolve(createHash("sha256").update(key).digest("base64"));
      else reject(new Error("the gateway has shown no certificate"));
    });
    socket.on("error", reject);
  });
}
