/** Tokens of the application. */

import type { ServerClock } from "./clock.js";
import { PosternError } from "./error.js";
import { type Token, readToken } from "./token.js";

/** Source of access tokens; null where the user is signed out. */
export type TokenSource = () => string | null | Promise<string | null>;

/** Result of asking for a token: an input of the state machine. */
export type FetchedToken =
  | { type: "token"; token: Token }
  | { type: "no_token"; error: PosternError }
  | { type: "token_failed"; cause: string };

/** Asks the source for a token. A source that throws is asked again later. */
export async function fetchToken(source: TokenSource, clock: ServerClock): Promise<FetchedToken> {
  let text: string | null;
  try {
    text = await source();
  } catch (error) {
    return { type: "token_failed", cause: `no token: ${String(error)}` };
  }
  if (text === null) return { type: "no_token", error: new PosternError("unauthenticated", "The user is signed out.") };
  const token = readToken(text);
  if (!token) {
    const error = new PosternError("unauthenticated", "The token source gave no JWT.", { reason: "malformed" });
    return { type: "no_token", error };
  }
  // An issuer's clock may be a minute ahead, as gateways tolerate it.
  if (token.issuedAt !== undefined) clock.passed(token.issuedAt - 60_000, Date.now());
  return { type: "token", token };
}
