//! Pseudonyms of users in spans, where a dangerous setting has a key for them.

use hmac::{Hmac, KeyInit, Mac};
use protocol::secret::Secret;
use sha2::Sha256;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::Layer;

/// Key of the pseudonyms of users in spans.
///
/// They show which spans belong to one user; who has the key, or knows when a user did what, learns the user too.
#[derive(Debug, Clone)]
pub struct UserPseudonyms {
    key: Secret,
}

/// Key that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is a random key of at least {MIN_BYTES} bytes")]
pub struct ShortKey;

impl UserPseudonyms {
    /// Pseudonyms by this key, the same on all nodes.
    ///
    /// # Errors
    /// [`ShortKey`].
    pub fn new(key: Secret) -> Result<Self, ShortKey> {
        if key.expose().len() < MIN_BYTES {
            return Err(ShortKey);
        }
        Ok(Self { key })
    }

    /// 128 bits of HMAC-SHA256, in hexadecimal digits.
    fn pseudonym(&self, user: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).ok()?;
        mac.update(user.as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(
            digest
                .iter()
                .take(PSEUDONYM_BYTES)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

// No part of the log: `set_user` finds it among the layers.
impl<S: Subscriber> Layer<S> for UserPseudonyms {}

/// Records the pseudonym of a user in a span for export, as `enduser.pseudo.id`; nothing, unless the process has a key for it.
pub fn set_user(span: &Span, user: &str) {
    let pseudonym = span.with_subscriber(|(_, dispatch)| {
        let pseudonyms = dispatch.downcast_ref::<UserPseudonyms>()?;
        pseudonyms.pseudonym(user)
    });
    if let Some(pseudonym) = pseudonym.flatten() {
        span.set_attribute("enduser.pseudo.id", pseudonym);
    }
}

/// Bytes of a pseudonym.
const PSEUDONYM_BYTES: usize = 16;
const MIN_BYTES: usize = 32;
