/** Frames of the plain WebSocket: subprotocol `postern.v1.json`. */

/** Frame of a gateway: an event, or with `id` an answer. */
export interface Frame {
  event: string;
  data: Record<string, unknown>;
  offset: string | null;
  eventId: string | undefined;
  id: string | undefined;
}

/** Writes a request. */
export function encode(event: string, data: object, id?: string): string {
  return JSON.stringify({ event, data, id });
}

/** Reads a message: one frame, or a batch of them. What is no frame is left out, as a later version may send it. */
export function decode(message: string): Frame[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch {
    return [];
  }
  return (Array.isArray(parsed) ? parsed : [parsed]).flatMap((frame: unknown) => read(frame) ?? []);
}

function read(frame: unknown): Frame | undefined {
  if (!isObject(frame) || typeof frame["event"] !== "string") return undefined;
  const { event, data, offset, eventId, id } = frame;
  return {
    event,
    data: isObject(data) ? data : {},
    offset: text(offset) ?? null,
    eventId: text(eventId),
    id: text(id),
  };
}

/** Reports whether a value has fields. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text of a field; undefined for any other value. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
