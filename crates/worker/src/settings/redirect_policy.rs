//! Policy of redirect URIs: which URIs a platform may return a user to.
//!
//! Redirect URIs are compared as text (RFC 9700 section 4.1.3), and each belongs to one platform: with distinct URIs, a response of
//! one platform cannot be passed off as another's (mix-up, RFC 9700 section 4.4.2).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use url::Url;

/// Redirect URIs that `account:authorize` and `account:connect` accept.
#[derive(Debug, Clone)]
pub struct RedirectPolicy {
    exact: HashMap<String, AccountType>,
    loopback: bool,
    /// Base URLs of the hosted callbacks: one, none, or in `postern dev` one for each name of each gateway.
    public_urls: Vec<Url>,
}

/// Error in a list of redirect URIs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// The text is not an absolute URI, has a fragment (RFC 6749 section 3.1.2), or is longer than 2,048 bytes.
    #[error("{0}: not an absolute URI without a fragment")]
    NotAUri(String),
    /// Two platforms share the URI.
    #[error("{0}: shared by {1} and {2}; give each platform its own")]
    Shared(String, AccountType, AccountType),
}

impl RedirectPolicy {
    /// Allows the listed URIs and no others, each for its platform.
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
            public_urls: Vec::new(),
        })
    }

    /// Serves those hosted callbacks below the public URLs that are listed.
    #[must_use]
    pub fn hosted_at(self, public_urls: impl IntoIterator<Item = Url>) -> Self {
        let public_urls = public_urls.into_iter().collect();
        Self { public_urls, ..self }
    }

    /// Default policy, where no URI is listed: the hosted callbacks below the public URLs, and loopback.
    #[must_use]
    pub fn standard<'a>(public_urls: impl IntoIterator<Item = &'a Url>) -> Self {
        let public_urls: Vec<Url> = public_urls.into_iter().cloned().collect();
        let of_url = |url| AccountType::ALL.map(|account| (callback(url, account), account));
        Self {
            exact: public_urls.iter().flat_map(of_url).collect(),
            loopback: true,
            public_urls,
        }
    }

    /// Reports whether the URI is the hosted callback of this platform. Only the configured public URL decides, never the `Host` of
    /// a request.
    pub(crate) fn is_hosted(&self, account: AccountType, uri: &str) -> bool {
        self.public_urls.iter().any(|url| callback(url, account) == uri)
    }

    /// Checks that a platform may return a user to this URI.
    ///
    /// # Errors
    /// [`RedirectNotAllowed`].
    pub(crate) fn check(&self, account: AccountType, uri: &str) -> Result<(), RedirectNotAllowed> {
        if self.allows(account, uri) {
            return Ok(());
        }
        let allowed = self.described(account);
        Err(RedirectNotAllowed { account, allowed })
    }

    /// List of the platform's URIs for the answer to a client: they are in each link to the platform, so public. A URI is shown whole
    /// or not at all.
    fn described(&self, account: AccountType) -> String {
        let exact = self.exact.iter().filter(|(_, owner)| **owner == account);
        let mut exact: Vec<&str> = exact.map(|(uri, _)| uri.as_str()).collect();
        exact.sort_unstable();
        let mut shown: Vec<String> = Vec::new();
        let mut capacity = MAX_DESCRIBED;
        for uri in &exact {
            let Some(left) = capacity.checked_sub(uri.len()) else {
                break;
            };
            capacity = left;
            shown.push((*uri).to_owned());
        }
        if shown.len() < exact.len() {
            shown.push(format!("{} more", exact.len() - shown.len()));
        }
        if self.loopback {
            shown.extend(LOOPBACK.map(|origin| format!("{origin} with any port and path")));
        }
        if shown.is_empty() {
            "none".to_owned()
        } else {
            shown.join(", ")
        }
    }

    fn allows(&self, account: AccountType, uri: &str) -> bool {
        self.exact.get(uri) == Some(&account) || (self.loopback && is_redirect_uri(uri) && is_loopback(uri))
    }
}

/// Redirect URI that the policy does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the redirect URI is not allowed for {account}")]
pub(crate) struct RedirectNotAllowed {
    account: AccountType,
    /// Allowed URIs of the platform.
    allowed: String,
}

impl RedirectNotAllowed {
    /// Failure for the client.
    pub(crate) fn failure(&self) -> Failure {
        let Self { account, allowed } = self;
        let message = format!("redirectUri: this URI is not allowed for {account}; allowed: {allowed}");
        Failure::with_message(ErrorCode::BadRequest, message)
    }
}

/// URI of the hosted callback of a platform.
fn callback(public_url: &Url, account: AccountType) -> String {
    let base = public_url.as_str().trim_end_matches('/');
    format!("{base}/oauth/callback/{account}")
}

fn is_redirect_uri(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && text.len() <= MAX_LEN && Url::parse(text).is_ok()
}

const MAX_LEN: usize = 2_048;

/// Maximum size of the listed URIs in an answer.
const MAX_DESCRIBED: usize = 1_024;

/// Reports whether the URI is an application on the user's own machine, at any port (RFC 8252 section 7.3). The text itself is
/// compared: a URL parser accepts spellings that other parsers read as another host.
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
    fn a_listed_uri_is_allowed_for_its_platform_byte_for_byte() {
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
    fn a_text_that_is_not_an_absolute_uri_without_fragment_is_refused() {
        for text in ["", "/callback", "https://app.example/#top", "https://app.example/a b"] {
            assert!(RedirectPolicy::new([(Github, text.to_owned())]).is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_policy_allows_each_platform_its_own_callback() {
        let policy = RedirectPolicy::standard(Some(&"https://postern.example/base/".parse().unwrap()));
        assert!(policy.allows(Github, "https://postern.example/base/oauth/callback/github"));
        assert!(!policy.allows(Github, "https://postern.example/base/oauth/callback/discord"));
        assert!(policy.is_hosted(Github, "https://postern.example/base/oauth/callback/github"));
        assert!(!policy.is_hosted(Discord, "https://postern.example/base/oauth/callback/github"));
        assert!(!RedirectPolicy::standard(None).allows(Github, "https://postern.example/oauth/callback/github"));
    }

    #[test]
    fn refusal_lists_the_platforms_own_uris_within_the_bound() {
        let message = |policy: &RedirectPolicy| {
            policy
                .check(Github, "https://evil.example/")
                .unwrap_err()
                .failure()
                .message
        };
        let listed = RedirectPolicy::new([
            (Github, "https://app.example/github".to_owned()),
            (Discord, "https://app.example/discord".to_owned()),
        ]);
        assert_eq!(
            message(&listed.unwrap()),
            "redirectUri: this URI is not allowed for github; allowed: https://app.example/github"
        );
        let none = RedirectPolicy::new([(Discord, "https://app.example/discord".to_owned())]);
        assert!(message(&none.unwrap()).ends_with("; allowed: none"));
        assert!(message(&RedirectPolicy::standard(None)).contains("http://localhost with any port and path"));

        let many = (0..100).map(|n| (Github, format!("https://app.example/{n:0>80}")));
        let message = message(&RedirectPolicy::new(many).unwrap());
        assert!(message.ends_with(", 90 more"), "{message}");
        assert!(message.len() < 2 * MAX_DESCRIBED, "{message}");
    }

    #[test]
    fn the_default_policy_allows_loopback_with_any_port_and_path() {
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
