// Official clients. Reads { gateway, clients: [[number, token], ...] } from stdin, and prints a line of JSON for each event of a client.
const { io } = require("socket.io-client");

let input = "";
process.stdin.on("data", (part) => { input += part; });
process.stdin.on("end", () => {
  const { gateway, clients } = JSON.parse(input);
  for (const [client, token] of clients) {
    const print = (event, value) => console.log(JSON.stringify({ client, event, value }));
    const socket = io(gateway, { transports: ["websocket"], auth: { token }, forceNew: true });
    socket.on("connect", () => print("connected", socket.recovered));
    socket.on("disconnect", (reason) => print("lost", reason));
    socket.on("connect_error", (error) => print("failed", error.message));
    socket.on("security:alert", (alert) => print("alert", alert.message));
  }
});
