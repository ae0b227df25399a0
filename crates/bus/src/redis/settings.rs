//! Which Redis, and under which names.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use protocol::secret::Secret;
use url::{Host, Url};

/// What a `RedisBus` is made from.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// The server for everything.
    pub url: RedisUrl,
    /// What all keys and channels begin with.
    pub prefix: Prefix,
    /// Another server or database for the rate cells: their expiries wake every subscriber of expiry events.
    pub limits_url: Option<RedisUrl>,
    /// The certificate authority of `rediss://` servers, a PEM file; without it those that the platform trusts.
    pub ca: Option<PathBuf>,
}

/// `redis://[[user]:password@]host[:port][/db]`, or `rediss://` for TLS. It prints without the password.
#[derive(Clone)]
pub struct RedisUrl {
    pub(crate) tls: bool,
    /// A name or an address, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: u8,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let url = Url::parse(text).map_err(InvalidRedisUrl::Syntax)?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            "redis-cluster" | "rediss-cluster" => return Err(InvalidRedisUrl::NotOffered("redis-cluster://")),
            "redis-sentinel" | "rediss-sentinel" => return Err(InvalidRedisUrl::NotOffered("redis-sentinel://")),
            _ => return Err(InvalidRedisUrl::Scheme),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidRedisUrl::Query);
        }
        Ok(Self {
            tls,
            host: host(&url).ok_or(InvalidRedisUrl::Host)?,
            port: url.port().unwrap_or(DEFAULT_PORT),
            database: database(url.path()).ok_or(InvalidRedisUrl::Database)?,
            username: decoded(url.username()),
            password: url.password().and_then(decoded).map(Secret::new),
        })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}:{}/{}", self.host, self.port, self.database)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// Why a text is no URL of a Redis. None of these repeats the text: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    /// It is no URL at all.
    #[error("{0}")]
    Syntax(url::ParseError),
    /// Another scheme.
    #[error("the URL begins with redis:// or rediss://")]
    Scheme,
    /// A scheme that will come later.
    #[error("{0} is not offered yet")]
    NotOffered(&'static str),
    /// No host.
    #[error("the URL names no host")]
    Host,
    /// The path is no database number.
    #[error("the URL's path is a database number, 0 to 255")]
    Database,
    /// Something after the path.
    #[error("the URL has no query and no fragment")]
    Query,
}

/// What all keys and channels begin with, `pn`: tests and tenants share a Redis by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let fits = (1..=64).contains(&text.len());
        (plain && fits).then(|| Self(text.to_owned())).ok_or(InvalidPrefix)
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("pn".to_owned())
    }
}

/// A text that would make key names ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct InvalidPrefix;

fn host(url: &Url) -> Option<String> {
    // Schemes that the URL standard does not know keep addresses as names, but IPv6 ones in brackets.
    match url.host()? {
        Host::Ipv6(address) => Some(address.to_string()),
        other => Some(other.to_string()).filter(|host| !host.is_empty()),
    }
}

fn database(path: &str) -> Option<u8> {
    match path.trim_start_matches('/') {
        "" => Some(0),
        number => number.parse().ok(),
    }
}

fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

const DEFAULT_PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisUrl {
        text.parse().unwrap()
    }

    #[test]
    fn every_part_of_a_url_counts() {
        let url = parsed("rediss://gate:p%40ss@redis.example:7000/3");
        assert_eq!(url.to_string(), "rediss://redis.example:7000/3");
        assert_eq!(url.username.as_deref(), Some("gate"));
        assert_eq!(url.password.map(|it| it.expose().to_owned()).as_deref(), Some("p@ss"));
    }

    #[test]
    fn what_a_url_leaves_out_has_defaults() {
        let url = parsed("redis://localhost");
        assert_eq!(url.to_string(), "redis://localhost:6379/0");
        assert!(url.username.is_none() && url.password.is_none());
        assert!(parsed("redis://:secret@localhost").username.is_none());
        assert_eq!(parsed("redis://[::1]:7000").host, "::1");
    }

    #[test]
    fn a_password_is_not_printed() {
        let url = parsed("redis://:hunter2@localhost");
        assert!(!format!("{url} {url:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused_in_one_line() {
        for (text, line) in [
            ("redis-cluster://:hunter2@a:1", "redis-cluster:// is not offered yet"),
            ("redis-sentinel://:hunter2@a:1", "redis-sentinel:// is not offered yet"),
            ("http://:hunter2@a:1", "the URL begins with redis:// or rediss://"),
            (
                "redis://:hunter2@a/hunter2",
                "the URL's path is a database number, 0 to 255",
            ),
            (
                "redis://:hunter2@a/256",
                "the URL's path is a database number, 0 to 255",
            ),
            ("redis://:hunter2@a?hunter2=1", "the URL has no query and no fragment"),
            ("redis:hunter2", "the URL names no host"),
            ("hunter2", "relative URL without a base"),
        ] {
            let error = text.parse::<RedisUrl>().unwrap_err();
            assert_eq!(error.to_string(), line, "{text}");
        }
    }

    #[test]
    fn a_prefix_cannot_break_out_of_key_names() {
        assert_eq!("pn".parse::<Prefix>(), Ok(Prefix::default()));
        for text in ["", "a{b}", "a:b", "a b", "caf\u{e9}"] {
            assert_eq!(text.parse::<Prefix>(), Err(InvalidPrefix), "{text:?}");
        }
    }
}
