//! Where a platform may send a user back to.
//!
//! A redirect URI is compared as text (RFC 9700 section 4.1.3), and belongs to one platform: with a URI of its own for each, an
//! answer of one platform cannot be passed off as another's (mix-up, RFC 9700 section 4.4.2).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use protocol::account::AccountType;
use url::Url;

/// The redirect URIs that `account:authorize` and `account:connect` take.
#[derive(Debug, Clone)]
pub struct RedirectPolicy {
    exact: HashMap<String, AccountType>,
    loopback: bool,
    /// Where our own callbacks are, if they are anywhere.
    public_url: Option<Url>,
}

/// Why a list of redirect URIs cannot be a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// It is no absolute URI, has a fragment (RFC 6749 section 3.1.2), or is longer than 2,048 bytes.
    #[error("{0}: not an absolute URI without a fragment")]
    NotAUri(String),
    /// Two platforms share it.
    #[error("{0}: shared by {1} and {2}; give each platform its own")]
    Shared(String, AccountType, AccountType),
}

impl RedirectPolicy {
    /// The listed URIs and no others, each for its platform.
    ///
    /// # Errors
    /// [`RedirectError`].
    pub fn new(listed: impl IntoIterator<Item = (AccountType, String)>) -> Result<Self, RedirectError> {
        let mut exact = HashMap::new();
        for (account, uri) in listed {
            if !is_redirect_uri(&uri) {
                return Err(RedirectError::NotAUri(uri));
            }
            match exact.entry(uri) {
                Entry::Occupied(taken) if *taken.get() != account => {
                    return Err(RedirectError::Shared(taken.key().clone(), *taken.get(), account));
                }
                free_or_same => {
                    free_or_same.or_insert(account);
                }
            }
        }
        Ok(Self {
            exact,
            loopback: false,
            public_url: None,
        })
    }

    /// The same, where our own callbacks are below `public_url`: those that are listed work.
    #[must_use]
    pub fn hosted_at(self, public_url: Option<Url>) -> Self {
        Self { public_url, ..self }
    }

    /// What holds when nothing is listed: our own callbacks below `public_url`, and loopback.
    #[must_use]
    pub fn standard(public_url: Option<&Url>) -> Self {
        let callbacks = public_url.map(|url| AccountType::ALL.map(|account| (callback(url, account), account)));
        Self {
            exact: callbacks.into_iter().flatten().collect(),
            loopback: true,
            public_url: public_url.cloned(),
        }
    }

    /// Whether this is our own callback for this platform, as the operator says where we are; what a browser calls us tells nothing.
    pub(crate) fn is_hosted(&self, account: AccountType, uri: &str) -> bool {
        let ours = self.public_url.as_ref().map(|url| callback(url, account));
        ours.as_deref() == Some(uri)
    }

    pub(crate) fn allows(&self, account: AccountType, uri: &str) -> bool {
        self.exact.get(uri) == Some(&account) || (self.loopback && is_redirect_uri(uri) && is_loopback(uri))
    }
}

/// Our own callback, with a path for each platform.
fn callback(public_url: &Url, account: AccountType) -> String {
    let base = public_url.as_str().trim_end_matches('/');
    format!("{base}/oauth/callback/{account}")
}

fn is_redirect_uri(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && text.len() <= MAX_LEN && Url::parse(text).is_ok()
}

const MAX_LEN: usize = 2_048;

/// An application on the user's own machine, whatever its port (RFC 8252 section 7.3). The text itself is looked at: a URL parser
/// would forgive spellings that other parsers read as another host.
fn is_loopback(uri: &str) -> bool {
    LOOPBACK.iter().any(|origin| {
        let Some(rest) = uri.strip_prefix(origin) else {
            return false;
        };
        let rest = match rest.strip_prefix(':') {
            Some(port) => port.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => rest,
        };
        rest.is_empty() || rest.starts_with(['/', '?'])
    })
}

const LOOPBACK: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

#[cfg(test)]
mod tests {
    use AccountType::{Discord, Github};

    use super::*;

    #[test]
    fn a_listed_uri_is_for_its_platform_and_byte_for_byte() {
        let policy = RedirectPolicy::new([
            (Github, "https://app.example/github".to_owned()),
            (Discord, "com.example.app:/discord".to_owned()),
        ])
        .unwrap();
        assert!(policy.allows(Github, "https://app.example/github"));
        assert!(policy.allows(Discord, "com.example.app:/discord"));
        for (account, uri) in [
            (Discord, "https://app.example/github"),
            (Github, "https://app.example/github/"),
            (Github, "https://APP.example/github"),
            (Github, "https://app.example:443/github"),
            (Github, "http://localhost:3000/callback"),
        ] {
            assert!(!policy.allows(account, uri), "{account} {uri}");
        }
    }

    #[test]
    fn a_uri_shared_by_two_platforms_is_refused() {
        let shared = "https://app.example/callback".to_owned();
        assert_eq!(
            RedirectPolicy::new([(Github, shared.clone()), (Discord, shared.clone())]).unwrap_err(),
            RedirectError::Shared(shared.clone(), Github, Discord)
        );
        assert!(RedirectPolicy::new([(Github, shared.clone()), (Github, shared)]).is_ok());
    }

    #[test]
    fn what_is_no_redirect_uri_is_refused() {
        for text in ["", "/callback", "https://app.example/#top", "https://app.example/a b"] {
            assert!(RedirectPolicy::new([(Github, text.to_owned())]).is_err(), "{text}");
        }
    }

    #[test]
    fn by_default_each_platform_has_its_own_callback() {
        let policy = RedirectPolicy::standard(Some(&"https://postern.example/base/".parse().unwrap()));
        assert!(policy.allows(Github, "https://postern.example/base/oauth/callback/github"));
        assert!(!policy.allows(Github, "https://postern.example/base/oauth/callback/discord"));
        assert!(policy.is_hosted(Github, "https://postern.example/base/oauth/callback/github"));
        assert!(!policy.is_hosted(Discord, "https://postern.example/base/oauth/callback/github"));
        assert!(!RedirectPolicy::standard(None).allows(Github, "https://postern.example/oauth/callback/github"));
    }

    #[test]
    fn by_default_loopback_is_taken_with_any_port_and_path() {
        let policy = RedirectPolicy::standard(None);
        for uri in [
            "http://localhost:3000/callback",
            "http://127.0.0.1",
            "http://[::1]:8080?from=app",
        ] {
            assert!(policy.allows(Github, uri), "{uri}");
        }
        for uri in [
            "https://localhost/",
            "http://localhost.evil.example/",
            "http://localhost:80@evil.example/",
            "http://localhost@evil.example/",
            "http://localhost\\@evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://LOCALHOST/",
            "http://localhost/a#b",
            "http://localhost/\n",
        ] {
            assert!(!policy.allows(Github, uri), "{uri}");
        }
    }
}
