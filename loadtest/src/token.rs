//! Tokens for made-up users.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

/// Signs tokens with the gateway's HS256 secret.
pub(crate) struct Issuer {
    key: EncodingKey,
    expires: u64,
}

impl Issuer {
    /// Signer of tokens that are valid for `ttl` from now.
    #[expect(clippy::disallowed_methods, reason = "a load run happens now")]
    pub(crate) fn new(secret: &str, ttl: Duration) -> anyhow::Result<Self> {
        let expires = SystemTime::now()
            .duration_since(UNIX_EPOCH)?
            .saturating_add(ttl)
            .as_secs();
        Ok(Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
            expires,
        })
    }

    /// A token for one user.
    pub(crate) fn issue(&self, user: &str) -> anyhow::Result<String> {
        Ok(jsonwebtoken::encode(
            &Header::default(),
            &Claims {
                sub: user,
                exp: self.expires,
            },
            &self.key,
        )?)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
}
