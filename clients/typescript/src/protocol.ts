/**
 * Wire contract of docs/protocol.md: names, payloads and codes of every event, command, answer and error.
 * This file has types alone, and the one table that the client needs at run time.
 */

/** Time in ISO 8601, UTC, with milliseconds. */
export type Timestamp = string;

/** Platform whose accounts can be linked. */
export type AccountType = "telegram" | "x_twitter" | "discord" | "github";

/** Status of a linked account. */
export type AccountStatus = "connected" | "disconnected" | "error" | "syncing";

/** Severity of an alert, ascending. */
export type Severity = "low" | "medium" | "high" | "critical";

/** Type of an alert. */
export type AlertType =
  | "suspicious_login"
  | "new_device"
  | "token_expired"
  | "failed_2fa"
  | "revoke_all"
  | "account_linked"
  | "settings_changed"
  | "session_ended"
  | "refresh_failed";

/** Type of a platform's notification. */
export type NotificationType = "mention" | "message" | "follow" | "reply";

/** Method of a second factor. */
export type FactorMethod = "totp" | "sms" | "email";

/** Reason of a session's end. */
export type SessionEnd = "idle" | "token_expired" | "ended";

/** Code of a failed command or of a refused connection. */
export type ErrorCode =
  | "bad_request"
  | "unknown_event"
  | "unauthenticated"
  | "forbidden"
  | "not_connected"
  | "already_connected"
  | "not_supported"
  | "2fa_required"
  | "2fa_invalid"
  | "2fa_locked"
  | "reauth_required"
  | "challenge_expired"
  | "confirmation_invalid"
  | "oauth_denied"
  | "oauth_failed"
  | "platform_unavailable"
  | "platform_rate_limited"
  | "rate_limited"
  | "conflict"
  | "timeout"
  | "unavailable"
  | "internal";

/** Fault of a refused token, beside `unauthenticated`. */
export type TokenFault = "expired" | "malformed" | "signature" | "claims" | "too_large";

/** Close code of a gateway. */
export type CloseCode = 1000 | 1001 | 1002 | 1007 | 1009 | 1012 | 4400 | 4401 | 4403 | 4408 | 4413 | 4429;

/** Linked account. */
export interface Account {
  accountType: AccountType;
  /** Stable id of the account at the platform. */
  platformUserId: string;
  username: string;
  displayName?: string;
  avatarUrl?: string;
  status: AccountStatus;
  /** OAuth scopes that the user granted. */
  scopes: string[];
  connectedAt: Timestamp;
  lastSynced?: Timestamp;
  /** Reason of the status `error`. */
  errorMessage?: string;
}

/** `account:status_changed`. */
export interface StatusChanged {
  userId: string;
  accountType: AccountType;
  status: AccountStatus;
  timestamp: Timestamp;
  metadata?: { errorMessage?: string; lastSynced?: Timestamp };
}

/** `security:alert`. */
export interface Alert {
  userId: string;
  /** Id for `security:ack`. */
  alertId: string;
  severity: Severity;
  type: AlertType;
  message: string;
  timestamp: Timestamp;
  /** True if the alert is repeated until it is acknowledged. */
  requiresAction: boolean;
}

/** Reason for which activity does not move the end of a session, as a socket sees it. */
export type ExtensionLimit = "token_expires_first";

/** End of a session as a socket sees it: `expiresAt` is the earlier one of the two. */
export interface Expiry {
  expiresAt: Timestamp;
  /** End of the session without further activity. */
  sessionExpiresAt: Timestamp;
  /** End of the socket's token; absent for a session of other sockets. */
  tokenExpiresAt?: Timestamp;
}

/** `security:session_warning`. */
export interface SessionWarning extends Expiry {
  userId: string;
  /** Seconds until the end. */
  expiresIn: number;
  /** False where the token ends before its session: `auth:refresh` helps, activity does not. */
  canExtend: boolean;
  /** Present where `canExtend` is false. */
  reason?: ExtensionLimit;
  serverTime: Timestamp;
}

/** `security:session_expired`. */
export interface SessionExpired {
  userId: string;
  timestamp: Timestamp;
  reason: SessionEnd;
}

/** `security:session_extended`, an event after a warning and the answer to `security:extend_session`. */
export interface SessionExtended extends Extension {
  success: true;
}

/** Extension of a session. */
export interface Extension extends Expiry {
  canExtend: boolean;
  /** Present where `canExtend` is false: `expiresAt` is the token's end. */
  reason?: ExtensionLimit;
  serverTime: Timestamp;
}

/** `notification:incoming`. */
export interface IncomingNotification {
  userId: string;
  platform: AccountType;
  type: NotificationType;
  content: string;
  sender: string;
  timestamp: Timestamp;
}

/** Security settings of a user. */
export interface Settings {
  /** Minutes without activity until a session ends, 1 to 1440. */
  sessionTimeout: number;
  twoFactorEnabled: boolean;
  method?: FactorMethod;
}

/** `security:settings_updated`. */
export interface SettingsUpdated {
  userId: string;
  settings: Settings;
}

/** `security:2fa_required`. */
export interface TwoFactorRequired {
  userId: string;
  /** Challenge that the code answers. */
  sessionId: string;
  /** Seconds until the challenge expires. */
  expiresIn: number;
  method: FactorMethod;
}

/** `error`: failure of a request without an answer of its own, or refusal of a token. */
export interface ErrorNotice {
  event?: string;
  error: ErrorCode;
  reason?: TokenFault;
  message: string;
}

/** Enrolment of a second factor. The secrets are those of `totp`. */
export interface Enrolment {
  /** Challenge that the first code answers. */
  sessionId: string;
  method: FactorMethod;
  /** Seconds until the enrolment expires. */
  expiresIn: number;
  /** Shared secret, base32. */
  secret?: string;
  otpauthUrl?: string;
  /** QR code of the secret: PNG, base64. */
  qrPng?: string;
}

/** Session, as `security:sessions` lists it. */
export interface SessionInfo extends Expiry {
  sessionId: string;
  /** True for the session of the caller. */
  current: boolean;
  deviceName?: string;
  userAgent?: string;
  address: string;
  connectedAt: Timestamp;
  lastActiveAt: Timestamp;
  sockets: number;
}

/** `ready`: greeting of a plain WebSocket. */
export interface Ready extends Expiry {
  userId: string;
  sessionId: string;
  resumeToken: string;
  offset: string;
  recovered: boolean;
  serverTime: Timestamp;
}

/** Credentials and options of a connection: `auth` of both dialects, without their resume state. */
export interface Auth {
  token: string;
  deviceId?: string;
  deviceName?: string;
  batching?: boolean;
}

/** Failed answer. */
export interface Failure {
  success: false;
  error: ErrorCode;
  message: string;
  reason?: TokenFault;
  /** Seconds to wait. */
  retryAfter?: number;
  /** `account:sync` only. */
  lastSynced?: Timestamp | null;
  /** `account:disconnect` only. */
  accountType?: string;
  /** `security:revoke_all` only. */
  accountsDisconnected?: 0;
}

/** `account:connect_response`: answer, and event after a browser has returned to the hosted callback. */
export type ConnectResponse = { success: true; account: Account } | Failure;

/** Payload of every event that a gateway sends by itself. */
export interface ServerEvents {
  "account:status_changed": StatusChanged;
  "account:connect_response": ConnectResponse;
  "security:alert": Alert;
  "security:session_warning": SessionWarning;
  "security:session_expired": SessionExpired;
  "security:session_extended": SessionExtended;
  "security:settings_updated": SettingsUpdated;
  "security:2fa_required": TwoFactorRequired;
  "notification:incoming": IncomingNotification;
  resync: Record<string, never>;
  error: ErrorNotice;
}

/** Name of an event of the server. */
export type ServerEvent = keyof ServerEvents;

/** Payload and successful answer of every command. `userId` is the token's own: the client adds it. */
export interface Commands {
  "account:authorize": {
    data: { accountType: AccountType; redirectUri: string };
    answer: { authorizationUrl: string; state: string; expiresIn: number };
  };
  "account:connect": {
    data: { accountType: AccountType; oauthCode: string; redirectUri: string; state?: string; codeVerifier?: string };
    answer: { account: Account };
  };
  "account:disconnect": { data: { accountType: AccountType }; answer: { accountType: AccountType } };
  "account:sync": {
    data: { accountType: AccountType };
    answer: {
      lastSynced: Timestamp;
      data: { profile: Record<string, unknown>; notifications: number; more: boolean };
    };
  };
  "account:list": { data: Empty; answer: { accounts: Account[] } };
  "security:verify_2fa": {
    /** `sessionId` is the challenge; `token` the code or a recovery code. */
    data: { sessionId: string; token: string };
    answer: Expiry & {
      sessionExtended: boolean;
      reason?: ExtensionLimit;
      serverTime: Timestamp;
      recoveryCodes?: string[];
    };
  };
  "security:request_confirmation": {
    data: { action: "security:revoke_all" };
    answer: { confirmationToken: string; expiresIn: number };
  };
  "security:revoke_all": { data: { confirmationToken: string }; answer: { accountsDisconnected: number } };
  "security:get_settings": { data: Empty; answer: { settings: Settings } };
  "security:update_settings": {
    data: {
      settings: { sessionTimeout?: number; twoFactorEnabled?: boolean; method?: FactorMethod; address?: string };
    };
    answer: { settings: Settings; enrolment?: Enrolment };
  };
  "security:extend_session": { data: Empty; answer: Extension };
  "security:sessions": { data: Empty; answer: { sessions: SessionInfo[]; serverTime: Timestamp } };
  "security:end_sessions": {
    /** Id of a session, or the text `others` for all but the caller's own. */
    data: { sessionId: string };
    answer: { sessionsEnded: number };
  };
  "security:ack": { data: { alertId: string }; answer: Empty };
  "security:alerts": { data: { after?: string }; answer: { alerts: Alert[] } };
  "auth:refresh": { data: { token: string }; answer: Expiry & { serverTime: Timestamp } };
}

/** Payload without fields. */
export type Empty = Record<never, never>;

/** Name of a command. */
export type Command = keyof Commands;

/** Payload of a command. */
export type CommandData<C extends Command> = Commands[C]["data"];

/** Successful answer of a command. */
export type CommandAnswer<C extends Command> = Commands[C]["answer"];

/** Command whose payload may be left out. */
export type CommandWithoutData = { [C in Command]: Empty extends CommandData<C> ? C : never }[Command];

/** Event of the answer to each command. */
export const RESPONSES: Readonly<Record<Command, string>> = {
  "account:authorize": "account:authorize_response",
  "account:connect": "account:connect_response",
  "account:disconnect": "account:disconnect_response",
  "account:sync": "account:sync_complete",
  "account:list": "account:list_response",
  "security:verify_2fa": "security:2fa_verified",
  "security:request_confirmation": "security:confirmation",
  "security:revoke_all": "security:revoke_complete",
  "security:get_settings": "security:settings",
  "security:update_settings": "security:update_settings_response",
  "security:extend_session": "security:session_extended",
  "security:sessions": "security:sessions_response",
  "security:end_sessions": "security:end_sessions_response",
  "security:ack": "security:ack_response",
  "security:alerts": "security:alerts_response",
  "auth:refresh": "auth:refreshed",
};
