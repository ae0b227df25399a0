// The official client, which reconnects by itself after a lost connection: each time at the next of the given addresses, cyclically.
// Prints each connect with `recovered` and the socket's id, each event with its number and offset, each disconnect with its reason.
// With LEAVE, it takes its leave at the first event and connects again.
const { io } = require("socket.io-client");

const gateways = process.env.GATEWAYS.split(" ");
const socket = io(gateways[0], {
  transports: ["websocket"],
  auth: { token: process.env.TOKEN },
  reconnectionDelay: 100,
  reconnectionDelayMax: 500,
});
let turn = 0;
let leaves = process.env.LEAVE === "yes";

socket.on("connect", () => console.log("connect", socket.recovered, socket.id));
socket.on("account:status_changed", (data, offset) => {
  console.log("event", data.metadata.errorMessage, offset);
  if (leaves) {
    leaves = false;
    socket.disconnect();
    socket.connect();
  }
});
socket.on("disconnect", (reason) => {
  turn = (turn + 1) % gateways.length;
  socket.io.uri = gateways[turn];
  console.log("disconnect", reason);
});
