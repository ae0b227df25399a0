/** Messages between the tabs of one user, over a BroadcastChannel. */

import { PosternError } from "./error.js";
import type { ConnectionState } from "./machine.js";
import type { Answer, IncomingEvent, ResumeState } from "./transport.js";

/** Message of a tab. Ids of tabs are random. */
export type TabMessage =
  /** A tab asks for the state. */
  | { type: "hello" }
  /** A tab that joins a leader that has stopped asks it to connect again. */
  | { type: "connect" }
  /** The leader's state, and what its successor resumes with. */
  | { type: "state"; leader: string; state: SharedState; resume: ResumeState | undefined; clock: number }
  | { type: "event"; event: IncomingEvent }
  | { type: "request"; from: string; id: string; event: string; data: object }
  /** Answer to a request; without one its outcome is unknown. */
  | { type: "answer"; to: string; id: string; answer: Answer | undefined };

/** State whose error survives a structured clone. */
export type SharedState =
  | Exclude<ConnectionState, { status: "stopped" }>
  | { status: "stopped"; error: Pick<PosternError, "code" | "message" | "reason"> };

/** State to send. */
export function shared(state: ConnectionState): SharedState {
  if (state.status !== "stopped") return state;
  const { code, message, reason } = state.error;
  return { status: "stopped", error: { code, message, reason } };
}

/** State as received. */
export function received(state: SharedState): ConnectionState {
  if (state.status !== "stopped") return state;
  const { code, message, reason } = state.error;
  return { status: "stopped", error: new PosternError(code, message, { reason }) };
}
