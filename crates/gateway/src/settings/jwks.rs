//! Settings of the JWKS client. The URL must be https or loopback: an attacker who can alter the response can sign any token.

use std::time::Duration;

use url::{Host, Url};

/// Settings of the JWKS client.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// URL of the key set.
    pub url: JwksUrl,
    /// Interval between fetches while the issuer answers. It bounds how long a withdrawn key is still accepted.
    pub refresh: Duration,
    /// Minimum interval between fetches caused by unknown key ids.
    pub unknown_key_interval: Duration,
    /// Maximum age of the cached keys while the issuer does not answer. Older keys verify no token.
    pub max_stale: Duration,
    /// Timeout of one fetch, response body included.
    pub fetch_timeout: Duration,
}

impl JwksSettings {
    /// Default settings (docs/operations/configuration.md) for this issuer.
    #[must_use]
    pub fn new(url: JwksUrl) -> Self {
        Self {
            url,
            refresh: Duration::from_secs(5 * 60),
            unknown_key_interval: Duration::from_secs(60),
            max_stale: Duration::from_secs(24 * 60 * 60),
            fetch_timeout: Duration::from_secs(3),
        }
    }
}

/// URL of a key set: https, or http to a loopback address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Url);

/// Error for a URL that key sets must not be fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user and password")]
pub struct InvalidJwksUrl;

impl JwksUrl {
    /// Parses a URL and checks its scheme and host.
    ///
    /// # Errors
    /// [`InvalidJwksUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidJwksUrl> {
        let url = Url::parse(text).map_err(|_no_url| InvalidJwksUrl)?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        (is_bare && is_https_or_loopback(&url))
            .then_some(Self(url))
            .ok_or(InvalidJwksUrl)
    }

    /// Returns the parsed URL.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

fn is_https_or_loopback(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        // RFC 6761, section 6.3: `localhost` always resolves to loopback.
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_urls_are_accepted() {
        for good in [
            "https://issuer.example/jwks.json",
            "http://127.0.0.1:9100/jwks",
            "http://[::1]/",
            "http://localhost/keys",
        ] {
            assert!(JwksUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://issuer.example/jwks.json",
            "http://127.0.0.1.example/",
            "http://10.0.0.7/",
            "https://user:password@issuer.example/",
            "file:///etc/passwd",
            "issuer.example",
            "",
        ] {
            assert_eq!(JwksUrl::parse(bad), Err(InvalidJwksUrl), "{bad}");
        }
    }
}
