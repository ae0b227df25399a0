//! Where a platform is, and who the application is there.

use protocol::secret::Secret;
use url::Url;

use crate::private::is_loopback;

/// One platform's URLs and the application's credentials there. The URLs are the platform's own unless an operator says
/// otherwise: a GitHub Enterprise Server, or the simulator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: Secret,
    /// The page where users let the application in.
    pub authorize_url: Url,
    /// Where codes become tokens.
    pub token_url: Url,
    /// What the API's paths are appended to.
    pub api_url: Url,
    /// Where grants are given back, whole; none where it follows from the API's URL.
    pub revoke_url: Option<Url>,
}

/// A URL over which secrets would travel in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} URL must be https, or http to a loopback address")]
pub struct InsecureUrl(
    /// Which one: `authorize`, `token`, `api`, `revoke` or `jwks`.
    pub &'static str,
);

impl Settings {
    /// Whether secrets may travel over each of the URLs.
    ///
    /// # Errors
    /// [`InsecureUrl`], the first one.
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

/// Whether nobody on the way reads what is sent there.
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
    fn plain_http_goes_to_this_machine_only() {
        let private = |url: &str| is_private(&Url::parse(url).unwrap());
        for url in [
            "https://github.com/",
            "http://127.0.0.1:9100/x",
            "http://[::1]/",
            "http://localhost:1/",
        ] {
            assert!(private(url), "{url}");
        }
        for url in [
            "http://github.com/",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "ftp://127.0.0.1/",
        ] {
            assert!(!private(url), "{url}");
        }
    }
}
