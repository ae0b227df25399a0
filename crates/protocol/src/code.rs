//! The codes that clients act on: one table for errors, one for closes.

use serde::{Deserialize, Serialize};

/// Why a request failed. The names are relied on from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The payload cannot be read or breaks a rule; the message says which field.
    BadRequest,
    /// No such event.
    UnknownEvent,
    /// No token, or one that does not hold.
    Unauthenticated,
    /// The caller may not do this; also for another user's `userId`.
    Forbidden,
    /// The user has no such account linked.
    NotConnected,
    /// Another account of that platform is linked already.
    AlreadyConnected,
    /// This platform or command is not offered here.
    NotSupported,
    /// A second factor must be given first.
    #[serde(rename = "2fa_required")]
    TwoFactorRequired,
    /// The second factor was wrong.
    #[serde(rename = "2fa_invalid")]
    TwoFactorInvalid,
    /// Too many wrong second factors: locked.
    #[serde(rename = "2fa_locked")]
    TwoFactorLocked,
    /// A fresher sign-in is needed.
    ReauthRequired,
    /// The challenge is over or was never this session's.
    ChallengeExpired,
    /// The confirmation token is wrong, used or over.
    ConfirmationInvalid,
    /// The user said no at the platform.
    OauthDenied,
    /// The platform did not accept the authorization; start again.
    OauthFailed,
    /// The platform cannot be reached or does not answer properly.
    PlatformUnavailable,
    /// The platform asks us to wait.
    PlatformRateLimited,
    /// Too many requests; `retryAfter` says how long to wait.
    RateLimited,
    /// The same idempotency key with another body, or a state that changed meanwhile.
    Conflict,
    /// No answer by the deadline; the outcome is unknown.
    Timeout,
    /// A part of Postern is away; nothing was done.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of docs/protocol.md.
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

    /// The code as it stands on the wire and in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What a person is told when nothing more precise is known.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.row().1
    }

    /// How an operator should hear of it.
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

/// Kind of fault of a refused token, beside [`ErrorCode::Unauthenticated`]. It helps the owner of the token and nobody who forges
/// one: claims are looked at after the signature only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFault {
    /// Its `exp` has passed, or its session idled out after it was issued.
    Expired,
    /// No token, or one that cannot be read.
    Malformed,
    /// Signed otherwise than the operator's key signs.
    Signature,
    /// A claim is missing, cannot be read or does not hold here.
    Claims,
    /// More bytes than the operator lets a token have.
    TooLarge,
}

impl TokenFault {
    /// Every fault, in the order of docs/protocol.md.
    pub const ALL: [Self; 5] = [
        Self::Expired,
        Self::Malformed,
        Self::Signature,
        Self::Claims,
        Self::TooLarge,
    ];

    /// The fault as it stands on the wire.
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

/// Whose fault an error is, which decides how loudly it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// The caller's: counted, logged at DEBUG.
    Caller,
    /// Something we depend on: worked around, logged at WARN.
    Dependency,
    /// Ours: someone must act, logged at ERROR.
    Internal,
}

/// Why a socket was closed by the server (RFC 6455 section 7.4; 4000 to 4999 are the application's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client asked for it.
    Normal,
    /// The node drains.
    GoingAway,
    /// A WebSocket protocol error: reserved bits, unmasked frames.
    ProtocolError,
    /// A text message that is not UTF-8.
    InvalidPayload,
    /// The message is larger than 64 KiB.
    TooBig,
    /// The node restarts.
    Restart,
    /// Framing above WebSocket is broken.
    BadFrame,
    /// Not authenticated, token expired or refused.
    Unauthenticated,
    /// User not allowed, session ended.
    Forbidden,
    /// Handshake or heartbeat timed out.
    TimedOut,
    /// Too slow, queue full.
    TooSlow,
    /// Too many connections or messages.
    TooMany,
}

impl CloseCode {
    /// Every code we send.
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

    /// The number on the wire.
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

    /// The reason beside the number, and the metric label.
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
    fn a_code_is_written_the_same_in_json_and_in_labels() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.sentence().ends_with('.'), "{code:?}");
        }
        for fault in TokenFault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
        }
    }
}
