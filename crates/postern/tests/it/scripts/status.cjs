// The customer's 'Real-time Status Test' with the official client: two clients of GEN-001, one on each of two gateways.
// Prints one line of JSON with what each of them saw.
const { io } = require("socket.io-client");

const [first, second] = process.env.GATEWAYS.split(" ");
const options = { transports: ["websocket"], auth: { token: process.env.TOKEN } };

const caller = io(first, options);
const other = io(second, options);
const seen = { caller: [], other: [], response: null };

const done = () => {
  if (seen.caller.length && seen.other.length && seen.response) {
    console.log(JSON.stringify(seen));
    process.exit(0);
  }
};

caller.on("account:status_changed", (data) => {
  seen.caller.push(data);
  done();
});
other.on("account:status_changed", (data) => {
  seen.other.push(data);
  done();
});
caller.on("account:connect_response", (data) => {
  seen.response = data;
  done();
});
for (const socket of [caller, other]) {
  socket.on("connect_error", (error) => {
    console.error("connect_error", error.message, error.data);
    process.exit(1);
  });
}

const connected = (socket) => new Promise((resolve) => socket.on("connect", resolve));

Promise.all([connected(caller), connected(other)]).then(() => {
  caller.emit("account:connect", {
    userId: "GEN-001",
    accountType: process.env.PLATFORM,
    oauthCode: process.env.CODE,
    redirectUri: "http://localhost:3000/callback",
  });
});
