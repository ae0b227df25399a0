/** Delays between attempts to connect, and until a token is replaced. */

/** Bounds of the delay, in milliseconds. */
export interface Backoff {
  min: number;
  max: number;
}

/** Delay before an attempt, doubled by each failure before it, half of it random: clients come back spread out. */
export function retryDelay(backoff: Backoff, failures: number, random: number): number {
  const whole = Math.min(backoff.max, backoff.min * 2 ** Math.min(failures, 16));
  return Math.round(whole / 2 + (whole / 2) * random);
}

/** Delay until a token with this life is replaced: two thirds of it, so that a failed attempt can be repeated. */
export function refreshDelay(life: number): number {
  return Math.max(1000, Math.min(Math.round((life * 2) / 3), MAX_TIMER));
}

/** Longest delay of a timer: above 2^31 ms it would fire at once. */
const MAX_TIMER = 2_000_000_000;
