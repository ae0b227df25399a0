//! Entry points for the benches of this crate: parts of a gateway that are private otherwise.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};
use jwks::TokenKey;
use lifecycle::{Dependencies, OsEntropy, Readiness, SystemClock};
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};

use crate::deflate::{DeflateParams, DeflatePool, PerMessageDeflate};
use crate::handshake::token::TokenVerifier;
use crate::settings::{TokenKeys, TokenLimits, TokenSettings};

pub use crate::hub::FanOut;

/// Verifier of tokens under one key.
pub struct TokenCheck(TokenVerifier);

impl TokenCheck {
    /// Verifier with the default limits; `None` if the key cannot be used.
    #[must_use]
    pub fn new(key: TokenKey) -> Option<Self> {
        let settings = TokenSettings {
            keys: TokenKeys::fixed(key),
            issuer: None,
            audience: None,
            limits: TokenLimits::default(),
        };
        let meter = NoopMeterProvider::new().meter("bench");
        let (loaded, dependencies) = (Readiness::new().latch("keys"), Dependencies::new(Arc::new(SystemClock)));
        let entropy = Arc::new(OsEntropy) as _;
        let verifier = TokenVerifier::new(settings, (loaded, &dependencies), &entropy, &meter);
        verifier.ok().map(|(verifier, _)| Self(verifier))
    }

    /// Reports whether the token is valid at this time.
    #[must_use]
    pub fn accepts(&self, token: &str, now: SystemTime) -> bool {
        self.0.verify(token, now).is_ok()
    }
}

/// Compression of one socket.
pub struct Compression(PerMessageDeflate);

impl Compression {
    /// Compression as the client's offer of these extensions negotiates it, of every message.
    #[must_use]
    pub fn negotiate(extensions: &'static str) -> Option<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(extensions));
        DeflateParams::negotiate(&headers).map(|params| Self(DeflatePool::new(0).of(&params)))
    }

    /// Compresses a message.
    #[must_use]
    pub fn compress(&self, message: &[u8]) -> Vec<u8> {
        self.0.compress(message).map(Vec::from).unwrap_or_default()
    }

    /// Length of the message of a compressed payload, 0 for invalid data.
    #[must_use]
    pub fn inflated_len(&self, payload: &[u8]) -> usize {
        self.0.inflate(payload, 64 * 1024).map_or(0, |message| message.len())
    }
}
