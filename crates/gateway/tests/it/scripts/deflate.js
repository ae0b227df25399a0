// Sends long requests for long replies; prints the negotiated compression, the received bytes, and a digest of the replies.
// Arguments: address, client (ws or socket.io), compression (on or off), padding lengths of the requests.
const { createHash } = require("node:crypto");

const [address, client, compression, ...lengths] = process.argv.slice(2);
const token = process.env.TOKEN;
const on = compression === "on";
const digest = createHash("sha256");

function done(extensions, bytes) {
  console.log("agreed", extensions || "nothing");
  console.log("bytes", bytes);
  console.log("digest", digest.digest("hex"));
  process.exit(0);
}

function ws() {
  const WebSocket = require("ws");
  const socket = new WebSocket(`wss://${address}/ws`, "postern.v1.json", {
    perMessageDeflate: on && { threshold: 100 },
    headers: { authorization: `Bearer ${token}` },
  });
  const ask = () => {
    if (lengths.length === 0) return done(socket.extensions, socket._socket.bytesRead);
    const data = { padding: "question ".repeat(lengths.shift() / 9) };
    socket.send(JSON.stringify({ event: "account:list", data, id: lengths.length }));
  };
  socket.on("error", (error) => console.log("error", error.message));
  socket.on("close", (code, reason) => console.log("closed", code, reason.toString()));
  socket.on("message", (message) => {
    const { event, data } = JSON.parse(message);
    if (event !== "ready") digest.update(JSON.stringify(data));
    ask();
  });
}

function socketio() {
  const { io } = require("socket.io-client");
  const options = { transports: ["websocket"], auth: { token }, perMessageDeflate: on && { threshold: 100 } };
  const socket = io(`https://${address}`, options);
  socket.on("connect", async () => {
    for (const length of lengths) {
      const answer = await socket.emitWithAck("account:list", { padding: "question ".repeat(length / 9) });
      digest.update(JSON.stringify(answer));
    }
    const { ws } = socket.io.engine.transport;
    done(ws.extensions, ws._socket.bytesRead);
  });
  socket.on("disconnect", (reason) => console.log("disconnected", reason));
}

if (client === "ws") ws();
else socketio();
