// Connection to a gateway in the native JSON dialect (docs/protocol.md): sign-in, resume, reconnects, requests and their answers.

import { serverNow, setByServer } from "./clock.js";
import { Emitter } from "./emitter.js";
import { delay, isFinal, reconnectAfter } from "./reconnect.js";

/**
 * Emits `state`, `frame`, `note`, `ready`, `fresh` (read the state again), `ended`, and each received message by the name of its event.
 */
export class Link extends Emitter {
  #api;
  #identity = null;
  #gateways = [location.origin];
  #socket = null;
  #resume = null;
  #attempt = 0;
  #timer = 0;
  #expired = null;
  #pending = new Map();
  #lastId = 0;
  #wasLive = false;
  /** `idle`, `connecting`, `live`, `waiting` or `ended`. */
  state = "idle";
  /** Challenge of the latest `security:2fa_required`. */
  challenge = null;
  /** Server's time of the last message that was sent: it renews the session. */
  lastSent = 0;

  constructor(api) {
    super();
    this.#api = api;
    addEventListener("online", () => this.state === "waiting" && this.#connect());
  }

  /** Gateways to connect to, one after another where the current one fails. */
  set gateways(urls) {
    this.#gateways = [...new Set([this.gateway, ...urls])];
  }

  /** Gateway of the current connection, or of the next attempt. */
  get gateway() {
    return this.#gateways[0];
  }

  start(identity) {
    this.stop();
    Object.assign(this, { challenge: null, lastSent: 0 });
    [this.#identity, this.#resume, this.#expired, this.#attempt, this.#wasLive] = [identity, null, null, 0, false];
    this.#connect();
  }

  /** Ends the connection for good, as a user who signs out. */
  stop() {
    this.#identity = null;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket = null;
    this.#failPending("The tab is signed out.");
    this.#become("idle");
  }

  /** Loses the connection, as a device that changes networks. `resumes` false also forgets the resume token. */
  drop({ resumes }) {
    if (!resumes) this.#resume = null;
    const socket = this.#socket;
    if (!socket) return;
    // At once: without a network the closing handshake has no end.
    this.#closed({ code: 1006, reason: "by the button" });
    socket.close();
  }

  /**
   * Sends a command; resolves with its answer, never rejects. A command waits for the connection, and is sent again after a loss: the
   * idempotency key has it executed once.
   */
  request(event, data = {}) {
    const id = `c${++this.#lastId}`;
    const frame = { event, id, data: READS.has(event) ? data : { ...data, idempotencyKey: crypto.randomUUID() } };
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.#settle(id, failed("timeout", "No answer in time. The outcome is unknown.")),
        ANSWER_WITHIN,
      );
      this.#pending.set(id, { frame, resolve, timer });
      if (this.state === "live") this.#send(frame);
    });
  }

  async #connect() {
    clearTimeout(this.#timer);
    const identity = this.#identity;
    const { userId, sessionId, lifetime, deviceId, deviceName } = identity;
    this.#become("connecting");
    const issued = await this.#api.token({ userId, sessionId, lifetime }).catch((error) => ({ error }));
    if (this.#identity !== identity || this.state !== "connecting") return;
    if (issued.error) {
      this.emit("note", { text: `no token: ${issued.error.message}`, kind: "fault" });
      this.#retry();
      return;
    }
    const socket = new WebSocket(`${this.gateway.replace(/^http/, "ws")}/ws`, "postern.v1.json");
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.close(), READY_WITHIN);
    socket.onopen = () => {
      this.emit("note", { text: `connected to ${this.gateway}`, kind: "open" });
      const resume = this.#resume ?? undefined;
      this.#send({ event: "auth", data: { token: issued.token, deviceId, deviceName, resume } });
    };
    socket.onmessage = ({ data }) => this.#socket === socket && this.#receive(data);
    socket.onclose = (close) => this.#socket === socket && this.#closed(close);
  }

  #send(frame) {
    const text = JSON.stringify(frame);
    this.#socket.send(text);
    this.lastSent = serverNow();
    this.emit("frame", { direction: "sent", message: frame, bytes: text.length });
  }

  #receive(text) {
    const message = JSON.parse(text);
    const frames = Array.isArray(message) ? message : [message];
    for (const frame of frames) {
      this.emit("frame", {
        direction: "received",
        message: frame,
        bytes: text.length,
        batch: Array.isArray(message) ? frames.length : 0,
      });
      this.#apply(frame);
    }
  }

  #apply({ event, data, id, offset, eventId }) {
    if (event === "ready") this.#ready(data);
    if (event === "security:2fa_required") this.challenge = data;
    if (event === "security:session_expired") this.#expired = data.reason;
    if (event === "error" && this.state !== "live") this.#expired = data.reason ?? data.error;
    if (event === "resync") this.emit("fresh", { isLoss: true });
    this.emit(event, { ...data, eventId });
    // After the listeners: an event that was not handled is asked for again.
    if (offset && this.#resume) this.#resume.offset = offset;
    if (id) this.#settle(id, data);
  }

  #ready({ resumeToken, offset, recovered, serverTime, ...session }) {
    clearTimeout(this.#timer);
    setByServer(serverTime);
    const isLoss = this.#wasLive && !recovered;
    // A recovered connection keeps its offset: the missed events follow.
    this.#resume = { resumeToken, offset: recovered ? this.#resume.offset : offset };
    [this.#attempt, this.#wasLive] = [0, true];
    this.#become("live");
    for (const { frame } of this.#pending.values()) this.#send(frame);
    if (recovered) this.emit("recovered", session);
    else this.emit("fresh", { isLoss });
  }

  #closed({ code, reason }) {
    clearTimeout(this.#timer);
    this.#socket = null;
    this.emit("note", { text: `closed with ${code}${reason ? `, ${reason}` : ""}`, kind: "close" });
    if (!isFinal(code)) {
      this.#api.avoid(this.gateway);
      this.#retry(reconnectAfter(reason));
      return;
    }
    this.#failPending("The session has ended.");
    this.#become("ended");
    this.emit("ended", { code, reason: this.#expired });
  }

  /** Tries the next gateway, after a delay that grows. */
  #retry(after) {
    this.#gateways = [...this.#gateways.slice(1), this.gateway];
    this.#become("waiting");
    this.#timer = setTimeout(() => this.#connect(), after ?? delay(this.#attempt++));
  }

  #settle(id, answer) {
    const pending = this.#pending.get(id);
    if (!pending) return;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    pending.resolve(answer);
  }

  #failPending(message) {
    for (const id of [...this.#pending.keys()]) this.#settle(id, failed("disconnected", message));
  }

  #become(state) {
    this.state = state;
    this.emit("state", state);
  }
}

function failed(error, message) {
  return { success: false, error, message };
}

/** Commands that change nothing, and need no idempotency key. */
const READS = new Set(["account:list", "security:get_settings", "security:sessions", "security:alerts", "auth:refresh"]);

/** The server answers within 30 s (docs/protocol.md); a reconnect may lie between. */
const ANSWER_WITHIN = 40_000;
const READY_WITHIN = 8_000;
