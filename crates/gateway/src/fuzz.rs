//! Ways in for the fuzz targets of `crates/fuzz`, to decoders of foreign bytes that nobody else outside this crate calls.

use std::sync::Arc;
use std::time::SystemTime;

use lifecycle::{OsEntropy, Readiness};
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};

use crate::handshake::jwks::KeySet;
use crate::handshake::token::{TokenKey, TokenKeys, TokenLimits, TokenSettings, Tokens};

/// Whether a token under this key is taken at this time.
#[must_use]
pub fn accepts_token(token: &str, key: TokenKey, now: SystemTime) -> bool {
    let settings = TokenSettings {
        keys: TokenKeys::Fixed(key),
        issuer: None,
        audience: None,
        limits: TokenLimits::default(),
    };
    let meter = NoopMeterProvider::new().meter("fuzz");
    let tokens = Tokens::new(settings, &Readiness::new(), &(Arc::new(OsEntropy) as _), &meter);
    tokens.is_ok_and(|(tokens, _)| tokens.verify(token, now).is_ok())
}

/// How many keys of a published set can verify tokens; none where it is no set.
#[must_use]
pub fn usable_keys(json: &[u8]) -> Option<usize> {
    KeySet::parse(json).ok().map(|set| set.len())
}
