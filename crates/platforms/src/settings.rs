//! URLs of a platform and the application's credentials there.

use protocol::secret::Secret;
use url::Url;

use crate::loopback::is_loopback;

/// URLs of one platform and the application's credentials there. The URLs are the platform's own unless an operator configures
/// others: a GitHub Enterprise Server, or the simulator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Authorize page.
    pub authorize_url: Url,
    /// Token endpoint.
    pub token_url: Url,
    /// Base URL of the API.
    pub api_url: Url,
    /// Revocation endpoint for whole grants; none if it follows from the other URLs.
    pub revoke_url: Option<Url>,
}

/// URL over which secrets would be sent without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} URL must be https, or http to a loopback address")]
pub struct InsecureUrl(
    /// URL in question: `authorize`, `token`, `api`, `revoke` or `jwks`.
    pub &'static str,
);

impl Settings {
    /// Checks that secrets may be sent to each of the URLs.
    ///
    /// # Errors
    /// [`InsecureUrl`] for the first one that fails.
    pub fn check(&self) -> Result<(), InsecureUrl> {
        let urls = [
            ("authorize", Some(&self.authorize_url)),
            ("token", Some(&self.token_url)),
            ("api", Some(&self.api_url)),
            ("revoke", self.revoke_url.as_ref()),
        ];
        match urls
            .into_iter()
            .find(|(_, url)| url.is_some_and(|url| !is_private(url)))
        {
            Some((name, _)) => Err(InsecureUrl(name)),
            None => Ok(()),
        }
    }
}

/// Reports whether nobody on the way can read what is sent there.
pub(crate) fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => is_loopback(&host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_allowed_to_loopback_only() {
        let loopback = |url: &str| is_private(&Url::parse(url).unwrap());
        for url in [
            "https://github.com/",
            "http://127.0.0.1:9100/x",
            "http://[::1]/",
            "http://localhost:1/",
        ] {
            assert!(loopback(url), "{url}");
        }
        for url in [
            "http://github.com/",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "ftp://127.0.0.1/",
        ] {
            assert!(!loopback(url), "{url}");
        }
    }
}
