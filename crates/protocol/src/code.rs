//! Codes that clients act on: one table for errors, one for closes.

use serde::{Deserialize, Serialize};

/// Code of a failed request. Clients rely on the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The payload cannot be read or breaks a rule; the message says which field.
    BadRequest,
    /// The event does not exist.
    UnknownEvent,
    /// The token is missing or not valid.
    Unauthenticated,
    /// The caller may not do this; also for another user's `userId`.
    Forbidden,
    /// The user has no such account linked.
    NotConnected,
    /// Another account of that platform is linked already.
    AlreadyConnected,
    /// The platform or command is not offered here.
    NotSupported,
    /// A second factor is required first.
    #[serde(rename = "2fa_required")]
    TwoFactorRequired,
    /// The second factor was wrong.
    #[serde(rename = "2fa_invalid")]
    TwoFactorInvalid,
    /// Too many wrong second factors: the factor is locked.
    #[serde(rename = "2fa_locked")]
    TwoFactorLocked,
    /// A more recent sign-in is needed.
    ReauthRequired,
    /// The challenge has expired or was never this session's.
    ChallengeExpired,
    /// The confirmation token is wrong, used or expired.
    ConfirmationInvalid,
    /// The user denied the authorization at the platform.
    OauthDenied,
    /// The platform did not accept the authorization; the client starts again.
    OauthFailed,
    /// The platform cannot be reached or does not answer properly.
    PlatformUnavailable,
    /// The platform limits our rate.
    PlatformRateLimited,
    /// Too many requests; `retryAfter` says how long to wait.
    RateLimited,
    /// The idempotency key was used with another body, or the state has changed meanwhile.
    Conflict,
    /// The deadline has passed without an answer; the outcome is unknown.
    Timeout,
    /// A part of Postern is unavailable; nothing was done.
    Unavailable,
    /// A fault of Postern.
    Internal,
}

impl ErrorCode {
    /// All codes, in the order of docs/protocol.md.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::UnknownEvent,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotConnected,
        Self::AlreadyConnected,
        Self::NotSupported,
        Self::TwoFactorRequired,
        Self::TwoFactorInvalid,
        Self::TwoFactorLocked,
        Self::ReauthRequired,
        Self::ChallengeExpired,
        Self::ConfirmationInvalid,
        Self::OauthDenied,
        Self::OauthFailed,
        Self::PlatformUnavailable,
        Self::PlatformRateLimited,
        Self::RateLimited,
        Self::Conflict,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Name on the wire and in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Message for a person, unless a more precise one is known.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.row().1
    }

    /// Class of the fault, which decides the log level.
    #[must_use]
    pub fn fault_class(self) -> FaultClass {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, FaultClass) {
        use FaultClass::{Caller, Dependency, Internal};
        match self {
            Self::BadRequest => ("bad_request", "The request cannot be read.", Caller),
            Self::UnknownEvent => ("unknown_event", "There is no such event.", Caller),
            Self::Unauthenticated => ("unauthenticated", "A valid token is required.", Caller),
            Self::Forbidden => ("forbidden", "This is not allowed.", Caller),
            Self::NotConnected => ("not_connected", "This account is not connected.", Caller),
            Self::AlreadyConnected => (
                "already_connected",
                "Another account of this platform is connected.",
                Caller,
            ),
            Self::NotSupported => ("not_supported", "This is not supported here.", Caller),
            Self::TwoFactorRequired => ("2fa_required", "A second factor is required first.", Caller),
            Self::TwoFactorInvalid => ("2fa_invalid", "The code is not right.", Caller),
            Self::TwoFactorLocked => ("2fa_locked", "The second factor is locked.", Caller),
            Self::ReauthRequired => ("reauth_required", "Sign in again first.", Caller),
            Self::ChallengeExpired => (
                "challenge_expired",
                "This challenge is over; ask for a new one.",
                Caller,
            ),
            Self::ConfirmationInvalid => ("confirmation_invalid", "The confirmation token does not hold.", Caller),
            Self::OauthDenied => ("oauth_denied", "The authorization was denied at the platform.", Caller),
            Self::OauthFailed => (
                "oauth_failed",
                "The platform did not accept the authorization; start again.",
                Caller,
            ),
            Self::PlatformUnavailable => ("platform_unavailable", "The platform cannot be reached.", Dependency),
            Self::PlatformRateLimited => ("platform_rate_limited", "The platform asks to wait.", Dependency),
            Self::RateLimited => ("rate_limited", "Too many requests; wait a little.", Caller),
            Self::Conflict => ("conflict", "The state has changed; read it and try again.", Caller),
            Self::Timeout => ("timeout", "No answer in time; the outcome is unknown.", Dependency),
            Self::Unavailable => (
                "unavailable",
                "The service is not available; nothing was done.",
                Dependency,
            ),
            Self::Internal => ("internal", "Something went wrong on our side.", Internal),
        }
    }
}

/// Fault of a refused token, beside [`ErrorCode::Unauthenticated`]. It helps the owner of a token and not a forger: claims are
/// checked after the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenFault {
    /// The `exp` has passed, or the session idled out after the token was issued.
    Expired,
    /// The token is missing or cannot be read.
    Malformed,
    /// The signature is not one of the operator's keys.
    Signature,
    /// A claim is missing, unreadable or not valid here.
    Claims,
    /// The token has more bytes than the operator's limit.
    TooLarge,
}

impl TokenFault {
    /// All faults, in the order of docs/protocol.md.
    pub const ALL: [Self; 5] = [
        Self::Expired,
        Self::Malformed,
        Self::Signature,
        Self::Claims,
        Self::TooLarge,
    ];

    /// Name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::TooLarge => "too_large",
        }
    }
}

/// Class of a fault, which decides the log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// Fault of the caller: counted, logged at DEBUG.
    Caller,
    /// Fault of a dependency: degraded, logged at WARN.
    Dependency,
    /// Fault of Postern: an operator must act, logged at ERROR.
    Internal,
}

/// Close code of the server (RFC 6455 section 7.4; 4000 to 4999 are the application's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client closes.
    Normal,
    /// The node drains.
    GoingAway,
    /// WebSocket protocol error: reserved bits, unmasked frames.
    ProtocolError,
    /// Text message that is not UTF-8.
    InvalidPayload,
    /// The message is larger than 64 KiB.
    TooBig,
    /// The node restarts.
    Restart,
    /// Framing above WebSocket is broken.
    BadFrame,
    /// The socket is not authenticated, or its token expired or was refused.
    Unauthenticated,
    /// The user is not allowed, or the session has ended.
    Forbidden,
    /// The handshake or the heartbeat timed out.
    TimedOut,
    /// The client is too slow: its queue is full.
    TooSlow,
    /// The client has too many connections or messages.
    TooMany,
}

impl CloseCode {
    /// All codes that the server sends.
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::InvalidPayload,
        Self::TooBig,
        Self::Restart,
        Self::BadFrame,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::TimedOut,
        Self::TooSlow,
        Self::TooMany,
    ];

    /// Number on the wire.
    #[must_use]
    pub fn as_u16(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::InvalidPayload => 1007,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::BadFrame => 4400,
            Self::Unauthenticated => 4401,
            Self::Forbidden => 4403,
            Self::TimedOut => 4408,
            Self::TooSlow => 4413,
            Self::TooMany => 4429,
        }
    }

    /// Reason beside the number, and metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::GoingAway => "going away",
            Self::ProtocolError => "protocol error",
            Self::InvalidPayload => "invalid payload",
            Self::TooBig => "message too big",
            Self::Restart => "restart",
            Self::BadFrame => "bad frame",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::TimedOut => "timed out",
            Self::TooSlow => "too slow",
            Self::TooMany => "too many",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_the_same_name_in_json_and_in_labels() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.sentence().ends_with('.'), "{code:?}");
        }
        for fault in TokenFault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
        }
    }
}
