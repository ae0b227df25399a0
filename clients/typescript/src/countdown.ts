/** Time until the session ends for this socket, by the server's clock. */

/** Ends of the session by this machine's clock, in milliseconds since 1970, as far as a gateway has reported them. */
export interface SessionCountdown {
  /** Earlier of the two ends; null until a gateway has named it. */
  readonly expiresAt: number | null;
  /** End of the session without further activity. */
  readonly sessionExpiresAt: number | null;
  /** End of the token, which the client replaces in time. */
  readonly tokenExpiresAt: number | null;
  /** Milliseconds without activity until the session ends; null until they are known. */
  readonly timeout: number | null;
  /** True between the gateway's warning and an extension. */
  readonly isWarned: boolean;
  /** False where the token ends before the session: `security:extend_session` does not help then. */
  readonly canExtend: boolean;
}

/** Times of this machine at which a message was read, and at which its command was sent. */
export interface MessageTimes {
  now: number;
  /** Absent for an event. */
  sent?: number;
  /** Time of this machine at which the server's clock shows the argument. */
  toLocal: (server: number) => number;
}

type Data = Record<string, unknown>;

/** Countdown before anything is known. */
export const UNKNOWN: SessionCountdown = {
  expiresAt: null,
  sessionExpiresAt: null,
  tokenExpiresAt: null,
  timeout: null,
  isWarned: false,
  canExtend: true,
};

/** Countdown after an event of the server or a successful answer; the same object where it says nothing on the session. */
export function counted(before: SessionCountdown, event: string, data: Data, times: MessageTimes): SessionCountdown {
  switch (event) {
    case "security:session_warning":
      return { ...reported(before, data, data, times), ...warning(data, times) };
    case "ready":
    case "security:session_extended":
    case "security:extend_session":
    case "security:verify_2fa":
    case "auth:refresh":
    case "auth:refreshed":
      return reported(before, data, data, times);
    case "security:sessions": {
      const sessions = Array.isArray(data["sessions"]) ? (data["sessions"] as Data[]) : [];
      const current = sessions.find((session) => session["current"] === true);
      return current ? reported(before, current, data, times) : before;
    }
    case "security:settings_updated":
      return retimed(before, data["settings"] as Data | undefined);
    default:
      return times.sent === undefined ? before : active(before, times.sent);
  }
}

/** Countdown by the ends of a message, whose `serverTime` is of the clock that they are of. */
function reported(before: SessionCountdown, ends: Data, { serverTime }: Data, times: MessageTimes): SessionCountdown {
  const now = time(serverTime);
  const local = (end: unknown): number | null => {
    const at = time(end);
    if (at === null) return null;
    return now === null ? times.toLocal(at) : times.now + at - now;
  };
  // A node of the release before names the earlier end alone.
  const session = local(ends["sessionExpiresAt"] ?? ends["expiresAt"]);
  if (session === null) return before;
  const left = session - times.now;
  // An event may come a while after the extension, and its answer at once.
  const timeout = times.sent === undefined ? Math.max(left, before.timeout ?? 0) : left;
  return ended({ ...before, timeout }, session, local(ends["tokenExpiresAt"]));
}

/** Warning, which counts in seconds. */
function warning(data: Data, { now }: MessageTimes): Partial<SessionCountdown> {
  const expiresAt = now + Number(data["expiresIn"]) * 1000;
  return { expiresAt, isWarned: true, canExtend: data["canExtend"] === true };
}

/** Countdown after another command, which renewed the session when it was sent, or later. */
function active(before: SessionCountdown, sent: number): SessionCountdown {
  const { sessionExpiresAt, timeout, isWarned } = before;
  // After a warning the gateway says itself that the session was extended.
  if (sessionExpiresAt === null || timeout === null || isWarned) return before;
  const end = sent + timeout;
  return end < sessionExpiresAt + NEGLIGIBLE ? before : ended(before, end, before.tokenExpiresAt);
}

/** Countdown after a change of the timeout, which counts from the last activity. */
function retimed(before: SessionCountdown, settings: Data | undefined): SessionCountdown {
  const timeout = Number(settings?.["sessionTimeout"]) * 60_000;
  const { sessionExpiresAt, timeout: old } = before;
  if (Number.isNaN(timeout) || sessionExpiresAt === null || old === null) return before;
  return ended({ ...before, timeout }, sessionExpiresAt + timeout - old, before.tokenExpiresAt);
}

function ended(before: SessionCountdown, session: number, token: number | null): SessionCountdown {
  const expiresAt = token === null ? session : Math.min(session, token);
  const isLater = before.expiresAt === null || expiresAt > before.expiresAt + NEGLIGIBLE;
  return {
    expiresAt,
    sessionExpiresAt: session,
    tokenExpiresAt: token,
    timeout: before.timeout,
    // An extension that the token limits leaves the warning as it is.
    isWarned: before.isWarned && !isLater,
    canExtend: token === null || session < token,
  };
}

function time(value: unknown): number | null {
  const parsed = Date.parse(String(value));
  return Number.isNaN(parsed) ? null : parsed;
}

/** Difference of two ends that are one, in milliseconds. */
const NEGLIGIBLE = 1000;
