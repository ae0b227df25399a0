//! Kinds of refused tokens, and what each is called towards clients and operators: one table.

use protocol::code::TokenFault;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    /// There is none.
    Missing,
    /// It has more bytes than it may have.
    TooLarge,
    /// It is no token.
    Malformed,
    /// It is signed otherwise than our key signs, or says that it is.
    Algorithm,
    /// The issuer publishes no such key, or has not answered for too long.
    Key,
    /// It is not signed by our key.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `exp` lies further ahead than it may.
    Lifetime,
    /// `nbf`, `iat` or `auth_time` lies ahead.
    Early,
    /// `exp` is missing, or one of the times is none.
    Times,
    /// Another issuer.
    Issuer,
    /// Another audience.
    Audience,
    /// Another kind of token than an access token.
    Kind,
    /// `sub` or `sid` cannot be an id.
    Subject,
}

impl Refused {
    /// Label in the metric of refused connections.
    pub(crate) fn label(self) -> &'static str {
        self.row().0
    }

    /// Name of the kind: in the metric of refused tokens and in the log.
    pub(crate) fn kind(self) -> &'static str {
        let label = self.label();
        label.strip_prefix("token_").unwrap_or(label)
    }

    /// What its owner is told.
    pub(crate) fn fault(self) -> TokenFault {
        self.row().1
    }

    /// What the log says.
    pub(crate) fn cause(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, TokenFault, &'static str) {
        use TokenFault::{Claims, Expired, Malformed, Signature, TooLarge};
        match self {
            Self::Missing => ("token_missing", Malformed, "there is none"),
            Self::TooLarge => ("token_too_large", TooLarge, "it is longer than POSTERN_JWT_MAX_BYTES"),
            Self::Malformed => (
                "token_malformed",
                Malformed,
                "it is no signed JWT, or has an unknown critical header",
            ),
            Self::Algorithm => ("token_algorithm", Signature, "its alg is not that of the key"),
            Self::Key => ("token_key", Signature, "the issuer publishes no key for it"),
            Self::Signature => ("token_signature", Signature, "it is not signed by the key"),
            Self::Expired => ("token_expired", Expired, "exp has passed"),
            Self::Lifetime => (
                "token_lifetime",
                Claims,
                "exp lies further ahead than POSTERN_JWT_MAX_LIFETIME: mostly milliseconds where seconds belong",
            ),
            Self::Early => ("token_early", Claims, "nbf, iat or auth_time lies ahead"),
            Self::Times => (
                "token_times",
                Claims,
                "exp is missing, or exp, nbf, iat or auth_time is no time",
            ),
            Self::Issuer => ("token_issuer", Claims, "iss is not POSTERN_JWT_ISSUER"),
            Self::Audience => ("token_audience", Claims, "aud does not hold POSTERN_JWT_AUDIENCE"),
            Self::Kind => ("token_kind", Claims, "it is no access token"),
            Self::Subject => ("token_subject", Claims, "sub or sid cannot be an id"),
        }
    }
}
