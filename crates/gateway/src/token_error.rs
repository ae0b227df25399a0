//! Reasons for refusing a token, with their metric labels, the fault reported to the client and the cause in the log.

use protocol::code::TokenFault;

use crate::label::{Label, labels};

/// Reason for refusing a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TokenError {
    /// Empty token.
    Missing,
    /// Token over the size bound.
    TooLarge,
    /// Input that is not a signed JWT.
    Malformed,
    /// `alg` header that does not match the key.
    Algorithm,
    /// No key for the token: unknown `kid`, or no fresh key set.
    Key,
    /// Invalid signature.
    Signature,
    /// `exp` in the past.
    Expired,
    /// `exp` beyond the maximum lifetime.
    Lifetime,
    /// `nbf`, `iat` or `auth_time` in the future.
    Early,
    /// `exp` missing, or a time claim that is not a time.
    Times,
    /// `iss` of another issuer.
    Issuer,
    /// `aud` without the configured audience.
    Audience,
    /// Token of another type than an access token.
    Kind,
    /// `sub` or `sid` that is not a valid id.
    Subject,
}

// Labels in the metric of refused connections.
labels!(TokenError {
    Missing => "token_missing",
    TooLarge => "token_too_large",
    Malformed => "token_malformed",
    Algorithm => "token_algorithm",
    Key => "token_key",
    Signature => "token_signature",
    Expired => "token_expired",
    Lifetime => "token_lifetime",
    Early => "token_early",
    Times => "token_times",
    Issuer => "token_issuer",
    Audience => "token_audience",
    Kind => "token_kind",
    Subject => "token_subject",
});

impl TokenError {
    /// Returns the label in the metric of refused tokens and in the log.
    pub(crate) fn kind(self) -> &'static str {
        let label = self.label();
        label.strip_prefix("token_").unwrap_or(label)
    }

    /// Returns the fault reported to the client.
    pub(crate) fn fault(self) -> TokenFault {
        self.row().0
    }

    /// Returns the cause for the log.
    pub(crate) fn cause(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (TokenFault, &'static str) {
        use TokenFault::{Claims, Expired, Malformed, Signature, TooLarge};
        match self {
            Self::Missing => (Malformed, "no token"),
            Self::TooLarge => (TooLarge, "longer than POSTERN_JWT_MAX_BYTES"),
            Self::Malformed => (Malformed, "not a signed JWT, or an unknown critical header"),
            Self::Algorithm => (Signature, "alg does not match the key"),
            Self::Key => (Signature, "the issuer publishes no key for it"),
            Self::Signature => (Signature, "invalid signature"),
            Self::Expired => (Expired, "exp has passed"),
            Self::Lifetime => (
                Claims,
                "exp is further ahead than POSTERN_JWT_MAX_LIFETIME, often milliseconds instead of seconds",
            ),
            Self::Early => (Claims, "nbf, iat or auth_time is in the future"),
            Self::Times => (Claims, "exp is missing, or exp, nbf, iat or auth_time is not a time"),
            Self::Issuer => (Claims, "iss is not POSTERN_JWT_ISSUER"),
            Self::Audience => (Claims, "aud does not contain POSTERN_JWT_AUDIENCE"),
            Self::Kind => (Claims, "not an access token"),
            Self::Subject => (Claims, "sub or sid is not a valid id"),
        }
    }
}
