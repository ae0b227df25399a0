//! URL of a key set. An attacker who could change the answer on its way could sign any token, so it is fetched over TLS.

use url::{Host, Url};

/// An https URL, or an http one of a loopback address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Url);

/// URL that no key set is fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user and password")]
pub struct InvalidJwksUrl;

impl JwksUrl {
    /// Parses a URL without user and password.
    ///
    /// # Errors
    /// [`InvalidJwksUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidJwksUrl> {
        let url = Url::parse(text).map_err(|_no_url| InvalidJwksUrl)?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        (is_bare && is_private(&url)).then_some(Self(url)).ok_or(InvalidJwksUrl)
    }

    /// The URL.
    pub(crate) fn to_url(&self) -> Url {
        self.0.clone()
    }
}

/// Reports whether nobody on the way can change what comes from there.
fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        // RFC 6761 section 6.3: always loopback.
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
