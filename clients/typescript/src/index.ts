/** Client of Postern: the entry point `@postern/client`. */

export { Client, createClient } from "./client.js";
export type { ClientEvents, ClientOptions, EventInfo } from "./client.js";
export type { SendOptions } from "./commands.js";
export type { SessionCountdown } from "./countdown.js";
export { PosternError } from "./error.js";
export type { ClientErrorCode } from "./error.js";
export type { ConnectionState } from "./machine.js";
export type * from "./protocol.js";
export type { SecondFactorPrompt } from "./step_up.js";
export type { TokenSource } from "./token_source.js";
export type { OpenTransport } from "./transport.js";
export { webSocket } from "./websocket.js";
export type { WebSocketConstructor } from "./websocket.js";
