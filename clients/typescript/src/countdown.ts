/** Time until the session ends, by the server's clock. */

/** End of the session as far as the gateway has reported it. */
export interface SessionCountdown {
  /** End by this machine's clock, in milliseconds since 1970; null until the gateway has named it. */
  readonly expiresAt: number | null;
  /** True between the gateway's warning and an extension. */
  readonly isWarned: boolean;
  /** False where the token ends before the session: `security:extend_session` does not help then. */
  readonly canExtend: boolean;
}

/** Countdown before anything is known. */
export const UNKNOWN: SessionCountdown = { expiresAt: null, isWarned: false, canExtend: true };

/** Countdown after an event of the server or a successful answer; the same object where it says nothing on the session. */
export function counted(
  countdown: SessionCountdown,
  event: string,
  data: Record<string, unknown>,
  clock: { now: number; toLocal: (server: number) => number },
): SessionCountdown {
  const until = (): number | null => {
    const time = Date.parse(String(data["expiresAt"]));
    return Number.isNaN(time) ? null : clock.toLocal(time);
  };
  switch (event) {
    case "security:session_warning":
      // Seconds, so that no clock counts but the server's.
      return {
        expiresAt: clock.now + Number(data["expiresIn"]) * 1000,
        isWarned: true,
        canExtend: data["canExtend"] === true,
      };
    case "security:extend_session":
    case "security:session_extended":
      return { expiresAt: until(), isWarned: false, canExtend: data["canExtend"] === true };
    case "security:verify_2fa":
      return { ...countdown, expiresAt: until(), isWarned: countdown.isWarned && data["sessionExtended"] !== true };
    case "security:sessions": {
      const sessions = Array.isArray(data["sessions"]) ? (data["sessions"] as Record<string, unknown>[]) : [];
      const current = sessions.find((session) => session["current"] === true);
      const time = Date.parse(String(current?.["expiresAt"]));
      return Number.isNaN(time) ? countdown : { ...countdown, expiresAt: clock.toLocal(time) };
    }
    case "auth:refresh":
      // The warning of a token is met by the new one.
      return countdown.canExtend ? countdown : { expiresAt: null, isWarned: false, canExtend: true };
    default:
      return countdown;
  }
}
