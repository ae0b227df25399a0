//! Settings of token verification: keys, expected issuer and audience, bounds.

use std::time::Duration;

use jwks::{FixedKeys, JwksSettings};
use lifecycle::Reloadable;

/// Settings of token verification.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Source of the verification keys.
    pub keys: TokenKeys,
    /// Expected `iss`; `None` accepts any.
    pub issuer: Option<String>,
    /// Expected entry of `aud`; `None` accepts any.
    pub audience: Option<String>,
    /// Bounds on size and lifetime.
    pub limits: TokenLimits,
}

/// Bounds on the size and the lifetime of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimits {
    /// Maximum length in bytes. Every byte is decoded before the signature is checked.
    pub max_bytes: usize,
    /// Maximum distance of `exp` from now, plus one minute of clock skew.
    pub max_lifetime: Duration,
}

impl TokenLimits {
    /// Longest distance of `exp` from now that is accepted.
    pub(crate) fn longest_lifetime(&self) -> Duration {
        self.max_lifetime + CLOCK_LEEWAY
    }
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024,
            max_lifetime: Duration::from_secs(31 * 24 * 60 * 60),
        }
    }
}

/// Source of the keys that verify tokens.
#[derive(Debug, Clone)]
pub enum TokenKeys {
    /// Configured keys.
    Fixed(Reloadable<FixedKeys>),
    /// Key set (JWKS) published by the issuer.
    Jwks(JwksSettings),
}

impl TokenKeys {
    /// Configured keys that are never replaced.
    #[must_use]
    pub fn fixed(keys: impl Into<FixedKeys>) -> Self {
        Self::Fixed(Reloadable::new(keys.into()))
    }
}

/// Tolerated clock skew for times that must not be in the future.
pub(crate) const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
