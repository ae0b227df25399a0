/** One socket to a gateway, in either dialect. */

import type { CloseInfo } from "./close.js";
import type { Credentials } from "./protocol.js";

/** Event as it arrived. */
export interface IncomingEvent {
  readonly event: string;
  readonly data: unknown;
  /** Position in the user's event log; null for an event outside of it. */
  readonly offset: string | null;
  /** Id by which a repetition is recognized. */
  readonly eventId: string | undefined;
}

/** Answer to a command: a success, or a failure with `error` and `message`. */
export type Answer = Record<string, unknown>;

/** State with which a later socket resumes. */
export interface ResumeState {
  resumeToken: string;
  /** Offset of the last event that was handled. */
  offset: string | undefined;
}

/** What is known once a socket is live. */
export interface Opened {
  /** True if missed events follow, and none is lost. */
  recovered: boolean;
  /** Absent where the socket cannot be resumed. */
  resume: ResumeState | undefined;
  /** Server's clock, in milliseconds since 1970, where the dialect has it. */
  serverTime: number | undefined;
}

/** Callbacks of a transport, in this sequence: `opened` at most once, events, `closed` once. */
export interface TransportHandlers {
  opened(opened: Opened): void;
  event(event: IncomingEvent): void;
  closed(close: CloseInfo): void;
}

/** Socket that is being opened or is open. */
export interface Transport {
  /** Sends a command; rejects with `ConnectionLost` when the socket closes before the answer. */
  request(event: string, data: object): Promise<Answer>;
  /** Closes without a further callback. With `keepResume` another socket may take its resume state. */
  close(keepResume: boolean): void;
}

/** Target and credentials of a socket. */
export interface Target {
  /** `https://host` of the gateways. */
  url: string;
  auth: Credentials;
  resume: ResumeState | undefined;
}

/** Opener of sockets in one dialect. */
export type OpenTransport = (target: Target, handlers: TransportHandlers) => Transport;
