//! Where an issuer publishes its keys: whoever can change that answer on its way can be anybody, so it travels over TLS.

use url::{Host, Url};

/// An https URL, or an http one of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Url);

/// A URL that keys are not fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user and password")]
pub struct InvalidJwksUrl;

impl JwksUrl {
    /// Reads it.
    ///
    /// # Errors
    /// [`InvalidJwksUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidJwksUrl> {
        let url = Url::parse(text).map_err(|_no_url| InvalidJwksUrl)?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        (is_bare && is_private(&url)).then_some(Self(url)).ok_or(InvalidJwksUrl)
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }
}

fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        // RFC 6761 section 6.3: never anything but loopback.
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
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
