// Delays between attempts to connect, and close codes after which there is none.

/** Delay before attempt `attempt`, with jitter: a thousand pages must not return at one instant. */
export function delay(attempt) {
  const most = Math.min(MOST, FIRST * 2 ** attempt);
  return most / 2 + (Math.random() * most) / 2;
}

const FIRST = 250;
const MOST = 5_000;

/** True for codes that a reconnect does not mend: a wrong encoding, a refused token, an ended session. */
export function isFinal(code) {
  return [1000, 1002, 1007, 1009, 4400, 4401, 4403].includes(code);
}

/** Milliseconds that a gateway asks to wait, by the reason of its close. */
export function reconnectAfter(reason) {
  const asked = /reconnect-after-ms=(\d+)/.exec(reason);
  return asked ? Math.min(Number(asked[1]), 60_000) : undefined;
}
