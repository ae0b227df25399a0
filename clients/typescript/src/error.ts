/** Failure of a command or of the connection. */

import type { ErrorCode, Failure, TokenFault } from "./protocol.js";

/**
 * Code of a failure that the client reports by itself:
 * `disconnected` (the client is not connected, or was disconnected meanwhile),
 * `overloaded` (too many commands wait already; nothing was sent),
 * `protocol` (the gateway closed the socket for broken framing).
 */
export type ClientErrorCode = "disconnected" | "overloaded" | "protocol";

/** Error of every rejected promise of the client. */
export class PosternError extends Error {
  override readonly name = "PosternError";
  /** Code to act on. */
  readonly code: ErrorCode | ClientErrorCode;
  /** Seconds to wait before a repetition. */
  readonly retryAfter: number | undefined;
  /** Fault of the token, with `unauthenticated`. */
  readonly reason: TokenFault | undefined;

  constructor(
    code: ErrorCode | ClientErrorCode,
    message: string,
    details: { retryAfter?: number | undefined; reason?: TokenFault | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryAfter = details.retryAfter;
    this.reason = details.reason;
  }

  /** Error of a failed answer. */
  static of(failure: Failure): PosternError {
    return new PosternError(failure.error, failure.message, failure);
  }
}

/** Loss of the connection before the answer: the outcome is unknown, and the command is repeated under its key. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}
