// The official client in a browser and in Node.js, side by side. This script serves the page and the client's own bundle to the browser,
// which reports its events here. Prints the gateway's key once the page is served; then, for each client, its name, the negotiated
// extensions, and each event as JSON.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const tls = require("node:tls");
const { io } = require("socket.io-client");

const { GATEWAY, PORT, TOKEN } = process.env;

// Runs in the browser and in Node.js, and uses only its arguments.
function listen(io, gateway, token, report) {
  const socket = io(gateway, { transports: ["websocket"], auth: { token } });
  socket.on("connect", () => report(`connected ${socket.io.engine.transport.ws.extensions}`));
  socket.on("connect_error", (error) => report(`failed ${error.message}`));
  socket.onAny((event, data) => report(`received ${event} ${JSON.stringify(data)}`));
}

const page = `<!doctype html><title>client</title><script src="/client.js"></script><script>
${listen}
let sent = Promise.resolve();
const report = (line) => { sent = sent.then(() => fetch("/report", { method: "POST", body: line })); };
listen(io, ${JSON.stringify(GATEWAY)}, ${JSON.stringify(TOKEN)}, report);
</script>`;
const bundle = path.join(path.dirname(require.resolve("socket.io-client/package.json")), "dist/socket.io.js");

async function printReport(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  console.log(`browser ${Buffer.concat(parts)}`);
}

const server = http.createServer(async (request, response) => {
  if (request.url === "/client.js") return fs.createReadStream(bundle).pipe(response);
  if (request.url === "/report") await printReport(request);
  response.setHeader("content-type", "text/html");
  response.end(request.url === "/" ? page : "");
});

// A browser has no option to trust an authority, but one to accept this server's key.
function keyOf({ hostname, port }) {
  return new Promise((resolve, reject) => {
    const peer = tls.connect({ host: hostname, port, rejectUnauthorized: true }, () => {
      const { publicKey } = peer.getPeerX509Certificate();
      peer.destroy();
      const spki = publicKey.export({ type: "spki", format: "der" });
      resolve(createHash("sha256").update(spki).digest("base64"));
    });
    peer.on("error", reject);
  });
}

server.listen(Number(PORT), "127.0.0.1", async () => {
  console.log(`page ${await keyOf(new URL(GATEWAY))}`);
  listen(io, GATEWAY, TOKEN, (line) => console.log(`node ${line}`));
});
