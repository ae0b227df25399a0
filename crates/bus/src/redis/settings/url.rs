//! URL of a Redis.

use std::fmt;
use std::str::FromStr;

use lifecycle::Reloadable;
use percent_encoding::percent_decode_str;
use protocol::secret::Secret;
use url::{Host, Url};

/// URL `redis://[[user]:password@]host[:port][/db]`, or `rediss://` for TLS. Displays without the password. Clones share the
/// login, which may be replaced: [`RedisUrl::replace_credentials`].
#[derive(Clone)]
pub struct RedisUrl {
    pub(crate) tls: bool,
    pub(crate) server: Endpoint,
    pub(crate) database: u8,
    pub(crate) credentials: Reloadable<Credentials>,
}

/// Address of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Name or address, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Login at the server.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl RedisUrl {
    /// Replaces the login for connections that are opened from now on, by that of a URL of the same server.
    ///
    /// # Errors
    /// [`RedisUrlChange`]; the login stays.
    pub fn replace_credentials(&self, url: &Secret) -> Result<(), RedisUrlChange> {
        let new: Self = url.expose().parse()?;
        let server = |url: &Self| (url.tls, url.server.clone(), url.database);
        if server(&new) != server(self) {
            return Err(RedisUrlChange::OtherServer);
        }
        self.credentials.set(new.credentials.get());
        Ok(())
    }
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
            server: Endpoint {
                host: host(&url).ok_or(InvalidRedisUrl::Host)?,
                port: url.port().unwrap_or(DEFAULT_PORT),
            },
            database: database(url.path()).ok_or(InvalidRedisUrl::Database)?,
            credentials: Reloadable::new(Credentials {
                username: decoded(url.username()),
                password: url.password().and_then(decoded).map(Secret::new),
            }),
        })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}/{}", self.server, self.database)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// Invalid URL of a Redis. The errors do not quote the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    /// Not a URL.
    #[error("{0}")]
    Syntax(url::ParseError),
    /// Unknown scheme.
    #[error("the URL begins with redis:// or rediss://")]
    Scheme,
    /// Scheme that is not supported yet.
    #[error("{0} is not offered yet")]
    NotOffered(&'static str),
    /// Missing host.
    #[error("the URL names no host")]
    Host,
    /// Path that is no database number.
    #[error("the URL's path is a database number, 0 to 255")]
    Database,
    /// Query or fragment.
    #[error("the URL has no query and no fragment")]
    Query,
}

/// URL that cannot replace another while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlChange {
    /// Not a URL of a Redis.
    #[error(transparent)]
    Invalid(#[from] InvalidRedisUrl),
    /// More than user and password has changed.
    #[error("the URL names another server or database: restart the node to use it")]
    OtherServer,
}

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
    fn url_parts_are_parsed() {
        let url = parsed("rediss://gate:p%40ss@redis.example:7000/3");
        assert_eq!(url.to_string(), "rediss://redis.example:7000/3");
        assert_eq!(login(&url), (Some("gate".to_owned()), Some("p@ss".to_owned())));
    }

    #[test]
    fn omitted_url_parts_have_defaults() {
        let url = parsed("redis://localhost");
        assert_eq!(url.to_string(), "redis://localhost:6379/0");
        assert_eq!(login(&url), (None, None));
        assert_eq!(login(&parsed("redis://:secret@localhost")).0, None);
        assert_eq!(parsed("redis://[::1]:7000").server.host, "::1");
    }

    fn login(url: &RedisUrl) -> (Option<String>, Option<String>) {
        let credentials = url.credentials.get();
        let password = credentials.password.as_ref();
        (
            credentials.username.clone(),
            password.map(|password| password.expose().to_owned()),
        )
    }

    #[test]
    fn password_is_not_displayed() {
        let url = parsed("redis://:hunter2@localhost");
        assert!(!format!("{url} {url:?} {:?}", url.credentials).contains("hunter2"));
    }

    #[test]
    fn login_is_replaced_in_all_clones_and_another_server_is_refused() {
        let url = parsed("rediss://gate:old@redis.example:7000/3");
        let clone = url.clone();
        let replace = |text: &str| url.replace_credentials(&Secret::new(text));
        assert_eq!(replace("rediss://door:new@redis.example:7000/3"), Ok(()));
        let new = (Some("door".to_owned()), Some("new".to_owned()));
        assert_eq!(login(&clone), new);
        for other in [
            "redis://door:thief@redis.example:7000/3",
            "rediss://door:thief@evil.example:7000/3",
            "rediss://door:thief@redis.example:7001/3",
            "rediss://door:thief@redis.example:7000/4",
        ] {
            assert_eq!(replace(other), Err(RedisUrlChange::OtherServer));
        }
        assert_eq!(
            replace("http://door:thief@redis.example"),
            Err(RedisUrlChange::Invalid(InvalidRedisUrl::Scheme))
        );
        assert_eq!(login(&clone), new);
        assert_eq!(replace("rediss://redis.example:7000/3"), Ok(()));
        assert_eq!(login(&clone), (None, None));
    }

    #[test]
    fn invalid_url_is_refused_in_one_line() {
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
}
