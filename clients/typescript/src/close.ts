/** Meaning of a closed socket: connect again, with a new token, or not at all. */

import { PosternError } from "./error.js";
import type { ErrorCode, SessionEnd, TokenFault } from "./protocol.js";

/** End of a socket, as its transport reports it. */
export interface CloseInfo {
  /** Close code; 1006 where there is none. */
  code: number;
  /** Reason of the Close frame, or description of the failure. */
  reason: string;
  /** Refusal of the token or of the session. */
  refusal?: { code: ErrorCode; message: string; reason?: TokenFault | undefined };
  /** Reason of the preceding `security:session_expired`. */
  ended?: SessionEnd | undefined;
}

/** Reaction to a closed socket. */
export type CloseAction =
  /** Connect again after this delay, or after one that grows. */
  | { kind: "reconnect"; after?: number; resume: boolean; slow: boolean }
  /** Ask the application for a token, and connect with it. */
  | { kind: "new_token"; error: PosternError }
  /** Stay disconnected until the application acts. */
  | { kind: "stop"; error: PosternError };

/** Decides what follows a closed socket (docs/clients.md, "Close codes and what to do"). */
export function afterClose(close: CloseInfo): CloseAction {
  return ofSession(close) ?? ofRefusal(close) ?? ofCode(close);
}

function ofSession({ ended }: CloseInfo): CloseAction | undefined {
  switch (ended) {
    case undefined:
      return undefined;
    case "token_expired":
      return { kind: "new_token", error: unauthenticated("The token has expired.", "expired") };
    case "idle":
      return { kind: "stop", error: unauthenticated("The session has ended for lack of activity.", "expired") };
    case "ended":
      return { kind: "stop", error: new PosternError("forbidden", "The session was ended.") };
  }
}

function ofRefusal({ refusal }: CloseInfo): CloseAction | undefined {
  if (refusal?.code !== "unauthenticated" && refusal?.code !== "forbidden") return undefined;
  const error = new PosternError(refusal.code, refusal.message, refusal);
  return refusal.reason === "expired" ? { kind: "new_token", error } : { kind: "stop", error };
}

function ofCode({ code, reason }: CloseInfo): CloseAction {
  switch (code) {
    case 1002:
    case 1007:
    case 4400:
      return { kind: "stop", error: new PosternError("protocol", `The gateway closed the socket: ${reason} (${code}).`) };
    case 4401:
      return { kind: "stop", error: unauthenticated("The gateway refused the token.") };
    case 4403:
      return { kind: "stop", error: new PosternError("forbidden", "The gateway ended the session.") };
    case 4429:
      return { kind: "reconnect", resume: false, slow: true };
    default:
      return reconnect(reason);
  }
}

/** A gateway that drains says when to come back, so that its clients do not come back at once. */
function reconnect(reason: string): CloseAction {
  const after = /reconnect-after-ms=(\d{1,7})/.exec(reason)?.[1];
  const action: CloseAction = { kind: "reconnect", resume: true, slow: false };
  return after === undefined ? action : { ...action, after: Number(after) };
}

function unauthenticated(message: string, reason?: TokenFault): PosternError {
  return new PosternError("unauthenticated", message, { reason });
}
