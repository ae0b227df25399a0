#!/usr/bin/env node
// A stand-in for the product's binary: takes its subcommands and variables, is ready at once, ends on SIGTERM.
const http = require("http");

const [subcommand] = process.argv.slice(2);
if (process.env.FAKE_LEAK && subcommand === "worker") console.log("leak", process.env.FAKE_LEAK);
if (subcommand === "migrate") {
  console.log("migrated");
} else {
  const [host, port] = process.env.POSTERN_HEALTH_LISTEN.split(":");
  const answers = { "/readyz": "ready", "/metrics": "postern_bus_expiries_arrive 1\n", "/env": JSON.stringify(process.env) };
  const server = http.createServer((request, response) => response.end(answers[request.url]));
  server.listen(port, host);
  process.on("SIGTERM", () => process.exit(0));
}
