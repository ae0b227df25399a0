//! Tokens of the consent page's form: each is valid for one browser and one authorization request.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::platform::Platform;

/// Issuer of the tokens and of the browsers' ids.
#[derive(Debug)]
pub(crate) struct ConsentTokens {
    key: [u8; 32],
    browsers: u64,
}

impl ConsentTokens {
    /// Key and ids follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let key = Sha256::new()
            .chain_update("consent")
            .chain_update(seed.to_be_bytes())
            .finalize();
        Self {
            key: key.into(),
            browsers: 0,
        }
    }

    /// Id of a browser that has none.
    pub(crate) fn new_browser(&mut self) -> String {
        self.browsers += 1;
        let mac = self.mac(&[b"browser", &self.browsers.to_be_bytes()]);
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// Token of this browser for the request with this query.
    pub(crate) fn issue(&self, browser: &str, platform: Platform, query: &str) -> String {
        let mac = self.request_mac(browser, platform, query);
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// Reports whether the token is the one of this browser and request.
    pub(crate) fn accepts(&self, token: &str, browser: &str, platform: Platform, query: &str) -> bool {
        let token = HEXLOWER.decode(token.as_bytes());
        // In constant time.
        token.is_ok_and(|token| self.request_mac(browser, platform, query).verify_slice(&token).is_ok())
    }

    fn request_mac(&self, browser: &str, platform: Platform, query: &str) -> Hmac<Sha256> {
        let parts = [browser, platform.segment(), query];
        self.mac(&parts.map(str::as_bytes))
    }

    /// MAC over the parts, each after its length.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_valid_for_its_browser_platform_and_query_only() {
        let mut tokens = ConsentTokens::new(7);
        let (ada, eve) = (tokens.new_browser(), tokens.new_browser());
        assert_ne!(ada, eve);
        let token = tokens.issue(&ada, Platform::Github, "state=1");
        let accepts = |browser, platform, query| tokens.accepts(&token, browser, platform, query);
        assert!(accepts(&ada, Platform::Github, "state=1"));
        assert!(!accepts(&eve, Platform::Github, "state=1"));
        assert!(!accepts(&ada, Platform::Discord, "state=1"));
        assert!(!accepts(&ada, Platform::Github, "state=2"));
        assert!(!tokens.accepts("", &ada, Platform::Github, "state=1"));
        assert!(!ConsentTokens::new(8).accepts(&token, &ada, Platform::Github, "state=1"));
    }
}
