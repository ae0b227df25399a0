// Time of the server. Clocks of browsers may be wrong, so countdowns and codes use this one.

let offset = 0;

/** Sets the clock by `serverTime` of a `ready`. */
export function setByServer(serverTime) {
  const server = Date.parse(serverTime);
  if (Number.isFinite(server)) offset = server - Date.now();
}

/** Milliseconds since 1970, by the server's clock. */
export function serverNow() {
  return Date.now() + offset;
}

/** `m:ss`, or `h:mm:ss` from an hour on. */
export function countdown(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Time of day of an ISO 8601 text or of milliseconds. */
export function timeOfDay(time) {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}
