/**
 * Contract of the server as the client uses it. `contract.ts` has every event, command, answer and code; `cargo xtask export` writes it
 * from the types of the server, and `check` puts it here.
 */

import type { Auth, Commands, ServerEvents } from "./contract.js";

export type * from "./contract.js";
export { RESPONSES } from "./contract.js";

/** Name of an event of the server. */
export type ServerEvent = keyof ServerEvents;

/** Name of a command. */
export type Command = keyof Commands;

/** Payload of a command. `userId` is the token's own: the client adds it. */
export type CommandData<C extends Command> = Omit<Commands[C]["data"], "userId">;

/** Successful answer of a command. */
export type CommandAnswer<C extends Command> = Commands[C]["answer"];

/** Command whose payload may be left out. */
export type CommandWithoutData = { [C in Command]: Empty extends CommandData<C> ? C : never }[Command];

/** Payload without fields. */
type Empty = Record<never, never>;

/** Token and options of a connection, without its resume state. */
export type Credentials = Pick<Auth, "deviceId" | "deviceName" | "batching"> & { token: string };
