// Connects, asks for an ack, hears an event and is dismissed. Arguments: URL, parser (default or msgpack).
const { io } = require("socket.io-client");

const [url, parser] = process.argv.slice(2);
const options = { transports: ["websocket"], auth: { token: "good" }, reconnection: false };
if (parser === "msgpack") options.parser = require("socket.io-msgpack-parser");

const socket = io(url, options);
socket.on("connect_error", (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on("disconnect", (reason) => {
  console.log("disconnect", reason);
  process.exit(0);
});
socket.on("connect", async () => {
  console.log("connected", socket.id);
  const heard = new Promise((resolve) => socket.once("ask_response", (...all) => resolve(all)));
  console.log("ack", JSON.stringify(await socket.emitWithAck("ask", { n: 1 })));
  const [data, offset] = await heard;
  console.log("event", JSON.stringify(data), offset);
  socket.emit("dismiss");
});
