//! Entry points for the fuzz targets of `crates/fuzz`: decoders of untrusted input that are private otherwise.

use std::sync::Arc;
use std::time::SystemTime;

use jwks::{KeySet, TokenKey};
use lifecycle::{Dependencies, OsEntropy, Readiness, SystemClock};
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};

use crate::handshake::token::TokenVerifier;
use crate::settings::{TokenKeys, TokenLimits, TokenSettings};

/// Reports whether the token is valid under this key at this time.
#[must_use]
pub fn accepts_token(token: &str, key: TokenKey, now: SystemTime) -> bool {
    let settings = TokenSettings {
        keys: TokenKeys::fixed(key),
        issuer: None,
        audience: None,
        limits: TokenLimits::default(),
    };
    let meter = NoopMeterProvider::new().meter("fuzz");
    let (loaded, dependencies) = (Readiness::new().latch("keys"), Dependencies::new(Arc::new(SystemClock)));
    let entropy = Arc::new(OsEntropy) as _;
    let verifier = TokenVerifier::new(settings, (loaded, &dependencies), &entropy, &meter);
    verifier.is_ok_and(|(verifier, _)| verifier.verify(token, now).is_ok())
}

/// Returns the number of usable keys of a key set, or `None` if the input is not a key set.
#[must_use]
pub fn usable_keys(json: &[u8]) -> Option<usize> {
    KeySet::parse(json).ok().map(|set| set.len())
}
