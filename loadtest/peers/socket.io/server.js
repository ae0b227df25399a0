// Server of socket.io with its Redis adapter, for comparison: a socket joins the room of its token's user, and
// POST /v1/users/{user}/events emits an event to a room.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { createClient } from "redis";
import { Server } from "socket.io";

const { REDIS_URL, JWT_SECRET, LISTEN, INTERNAL_LISTEN, TLS_CERT, TLS_KEY } = process.env;
const address = (text) => ({ host: text.slice(0, text.lastIndexOf(":")), port: Number(text.slice(text.lastIndexOf(":") + 1)) });

const publisher = createClient({ url: REDIS_URL });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const clients = createTlsServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) });
const io = new Server(clients, { transports: ["websocket"], adapter: createAdapter(publisher, subscriber) });
io.use((socket, next) => {
  try {
    socket.join(jwt.verify(socket.handshake.auth.token, JWT_SECRET, { algorithms: ["HS256"] }).sub);
    next();
  } catch (error) {
    next(error);
  }
});

const events = /^\/v1\/users\/([^/]+)\/events$/;
const internal = createServer((request, response) => {
  const user = events.exec(request.url)?.[1];
  const body = [];
  request.on("data", (part) => body.push(part));
  request.on("end", () => {
    const answer = (status) => response.writeHead(status, { "Content-Length": 2 }).end("{}");
    if (request.method !== "POST" || user === undefined) return answer(404);
    const { event, data } = JSON.parse(Buffer.concat(body));
    io.to(decodeURIComponent(user)).emit(event, data);
    answer(202);
  });
});

clients.listen(address(LISTEN));
internal.listen(address(INTERNAL_LISTEN));
