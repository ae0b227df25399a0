/** Claims of an access token that the client reads. It verifies none: that is the gateway's part. */

/** User and session that a token names. */
export interface TokenOwner {
  userId: string;
  sessionId: string;
}

/** Access token with its owner and times, in milliseconds since 1970. */
export interface Token extends TokenOwner {
  text: string;
  expiresAt: number;
  issuedAt: number | undefined;
}

/** Reads the claims of a JWT; undefined for any other text. */
export function readToken(text: string): Token | undefined {
  const claims = readClaims(text.split(".")[1]);
  const expires = seconds(claims?.["exp"]);
  const userId = claims?.["sub"];
  if (claims === undefined || typeof userId !== "string" || expires === undefined) return undefined;
  const session = claims["sid"];
  const issued = seconds(claims["iat"]);
  return {
    text,
    userId,
    sessionId: typeof session === "string" || typeof session === "number" ? String(session) : "default",
    expiresAt: expires * 1000,
    issuedAt: issued === undefined ? undefined : issued * 1000,
  };
}

function readClaims(part: string | undefined): Record<string, unknown> | undefined {
  if (part === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** NumericDate (RFC 7519 section 2), which some issuers write as a text. */
function seconds(claim: unknown): number | undefined {
  const number = typeof claim === "string" ? Number.parseFloat(claim) : claim;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
