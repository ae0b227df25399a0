//! Reasons for refusing a token, in one table: metric label, fault reported to the client, cause in the log.

use protocol::code::TokenFault;

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

impl TokenError {
    /// Returns the label in the metric of refused connections.
    pub(crate) fn label(self) -> &'static str {
        self.row().0
    }

    /// Returns the label in the metric of refused tokens and in the log.
    pub(crate) fn kind(self) -> &'static str {
        let label = self.label();
        label.strip_prefix("token_").unwrap_or(label)
    }

    /// Returns the fault reported to the client.
    pub(crate) fn fault(self) -> TokenFault {
        self.row().1
    }

    /// Returns the cause for the log.
    pub(crate) fn cause(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, TokenFault, &'static str) {
        use TokenFault::{Claims, Expired, Malformed, Signature, TooLarge};
        match self {
            Self::Missing => ("token_missing", Malformed, "no token"),
            Self::TooLarge => ("token_too_large", TooLarge, "longer than POSTERN_JWT_MAX_BYTES"),
            Self::Malformed => (
                "token_malformed",
                Malformed,
                "not a signed JWT, or an unknown critical header",
            ),
            Self::Algorithm => ("token_algorithm", Signature, "alg does not match the key"),
            Self::Key => ("token_key", Signature, "the issuer publishes no key for it"),
            Self::Signature => ("token_signature", Signature, "invalid signature"),
            Self::Expired => ("token_expired", Expired, "exp has passed"),
            Self::Lifetime => (
                "token_lifetime",
                Claims,
                "exp is further ahead than POSTERN_JWT_MAX_LIFETIME, often milliseconds instead of seconds",
            ),
            Self::Early => ("token_early", Claims, "nbf, iat or auth_time is in the future"),
            Self::Times => (
                "token_times",
                Claims,
                "exp is missing, or exp, nbf, iat or auth_time is not a time",
            ),
            Self::Issuer => ("token_issuer", Claims, "iss is not POSTERN_JWT_ISSUER"),
            Self::Audience => ("token_audience", Claims, "aud does not contain POSTERN_JWT_AUDIENCE"),
            Self::Kind => ("token_kind", Claims, "not an access token"),
            Self::Subject => ("token_subject", Claims, "sub or sid is not a valid id"),
        }
    }
}
