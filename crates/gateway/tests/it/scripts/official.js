// Connects, emits with an ack, emits an unknown event, and receives one event. Arguments: URL, parser (default or msgpack).
const { io } = require("socket.io-client");

const [url, parser] = process.argv.slice(2);
// An unpaired surrogate: half of an emoji.
const cut = "My phone \u{1f4f1}".slice(0, 10);
const auth = { token: process.env.TOKEN, deviceName: cut };
// Some client libraries send the server as Origin.
const options = { transports: ["websocket"], auth, extraHeaders: { Origin: url } };
if (parser === "msgpack") options.parser = require("socket.io-msgpack-parser");

const socket = io(url, options);
socket.on("connect_error", (error) => {
  const { code, reason } = error.data || {};
  console.log("refused", error.message, code, reason, `active=${socket.active}`);
  process.exit(1);
});
socket.on("account:list_response", (data, offset) => console.log("response", JSON.stringify(data), offset));
socket.on("account:status_changed", (data, offset) => {
  console.log("event", data.accountType, data.status);
  console.log("offset", /^[0-9a-f]+-1$|^[0-9a-f]+-2$/.test(offset));
  socket.disconnect();
  process.exit(0);
});
socket.on("connect", async () => {
  console.log("ack", JSON.stringify(await socket.emitWithAck("account:list", { [cut]: [cut, "\0"] })));
  console.log("unknown", (await socket.emitWithAck("account:teleport", {})).error);
  console.log("live");
});
