//! URL of a Redis.

use std::fmt;
use std::str::FromStr;

use lifecycle::Reloadable;
use percent_encoding::percent_decode_str;
use protocol::secret::Secret;
use url::{Host, Url};

/// URL `redis://[[user]:password@]host[:port][/db]`, or `redis-sentinel://[[user]:password@]host[:port],...[/db]?master=name` with the
/// addresses of sentinels, or `redis-cluster://[[user]:password@]host[:port],...` with those of some nodes of a cluster; `rediss://`,
/// `rediss-sentinel://` and `rediss-cluster://` for TLS. Displays without the passwords. Clones share the logins, which
/// may be replaced: [`RedisUrl::replace_credentials`].
#[derive(Clone)]
pub struct RedisUrl {
    pub(crate) tls: bool,
    pub(crate) servers: Servers,
    pub(crate) database: u8,
    pub(crate) credentials: Reloadable<Credentials>,
}

/// Servers of a URL.
#[derive(Clone)]
pub(crate) enum Servers {
    /// Server.
    One(Endpoint),
    /// Sentinels, which know the server.
    Sentinel(Sentinels),
    /// Nodes of a cluster, which know the others.
    Cluster(Vec<Endpoint>),
}

/// Sentinels of a primary.
#[derive(Clone)]
pub(crate) struct Sentinels {
    pub(crate) endpoints: Vec<Endpoint>,
    /// Name of the primary.
    pub(crate) master: String,
    /// Login at the sentinels.
    pub(crate) credentials: Reloadable<Credentials>,
}

/// Address of one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Name or address, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Login at a server.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl RedisUrl {
    /// Reports whether connections use TLS.
    #[must_use]
    pub fn uses_tls(&self) -> bool {
        self.tls
    }

    /// Replaces the logins for connections that are opened from now on, by those of a URL of the same servers.
    ///
    /// # Errors
    /// [`RedisUrlChange`]; the logins stay.
    pub fn replace_credentials(&self, url: &Secret) -> Result<(), RedisUrlChange> {
        let new: Self = url.expose().parse()?;
        // Both display everything but the logins.
        if new.to_string() != self.to_string() {
            return Err(RedisUrlChange::OtherServer);
        }
        self.credentials.set(new.credentials.get());
        if let (Servers::Sentinel(ours), Servers::Sentinel(new)) = (&self.servers, &new.servers) {
            ours.credentials.set(new.credentials.get());
        }
        Ok(())
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let first = with_first_host(text);
        let url = Url::parse(first.as_deref().unwrap_or(text)).map_err(InvalidRedisUrl::Syntax)?;
        let scheme = url.scheme();
        let is_sentinel = matches!(scheme, "redis-sentinel" | "rediss-sentinel");
        let is_cluster = matches!(scheme, "redis-cluster" | "rediss-cluster");
        if !is_sentinel && !is_cluster && !matches!(scheme, "redis" | "rediss") {
            return Err(InvalidRedisUrl::Scheme);
        }
        if url.fragment().is_some() || (!is_sentinel && url.query().is_some()) {
            return Err(InvalidRedisUrl::Query);
        }
        let servers = if is_sentinel {
            Servers::Sentinel(Sentinels::parse(text, &url)?)
        } else if is_cluster {
            Servers::Cluster(Endpoint::parse_all(text, DEFAULT_PORT)?)
        } else {
            Servers::One(Endpoint::parse(&url, DEFAULT_PORT)?)
        };
        let database = database(url.path()).ok_or(InvalidRedisUrl::Database)?;
        if database != 0 && is_cluster {
            return Err(InvalidRedisUrl::ClusterDatabase);
        }
        Ok(Self {
            tls: scheme.starts_with("rediss"),
            servers,
            database,
            credentials: Reloadable::new(Credentials {
                username: decoded(url.username()),
                password: url.password().and_then(decoded).map(Secret::new),
            }),
        })
    }
}

impl Sentinels {
    /// Sentinels of a URL, by its text with all hosts and its parts with the first one.
    fn parse(text: &str, url: &Url) -> Result<Self, InvalidRedisUrl> {
        let endpoints = Endpoint::parse_all(text, DEFAULT_SENTINEL_PORT)?;
        let (mut master, mut username, mut password) = (None, None, None);
        for pair in url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "master" => master = decoded(value),
                "sentinel_user" => username = decoded(value),
                "sentinel_password" => password = decoded(value).map(Secret::new),
                _ => return Err(InvalidRedisUrl::SentinelQuery),
            }
        }
        Ok(Self {
            endpoints,
            master: master.ok_or(InvalidRedisUrl::Master)?,
            credentials: Reloadable::new(Credentials { username, password }),
        })
    }
}

impl Endpoint {
    fn parse(url: &Url, default_port: u16) -> Result<Self, InvalidRedisUrl> {
        // Schemes that the URL standard does not know keep addresses as names, but IPv6 ones in brackets.
        let host = match url.host().ok_or(InvalidRedisUrl::Host)? {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        if host.is_empty() {
            return Err(InvalidRedisUrl::Host);
        }
        let port = url.port().unwrap_or(default_port);
        Ok(Self { host, port })
    }

    /// All hosts of a URL, by its text.
    fn parse_all(text: &str, default_port: u16) -> Result<Vec<Self>, InvalidRedisUrl> {
        let (_, hosts, _) = split_hosts(text).ok_or(InvalidRedisUrl::Host)?;
        let endpoints = hosts.split(',').map(|host| {
            let url = Url::parse(&format!("redis://{host}")).map_err(InvalidRedisUrl::Syntax)?;
            Self::parse(&url, default_port)
        });
        endpoints.collect()
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        match &self.servers {
            Servers::One(server) => write!(f, "redis{s}://{server}/{}", self.database),
            Servers::Sentinel(Sentinels { endpoints, master, .. }) => {
                write!(f, "redis{s}-sentinel://{}/", list(endpoints))?;
                write!(f, "{}?master={master}", self.database)
            }
            Servers::Cluster(nodes) => write!(f, "redis{s}-cluster://{}", list(nodes)),
        }
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
    #[error(
        "the URL begins with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://"
    )]
    Scheme,
    /// Missing host.
    #[error("the URL names no host")]
    Host,
    /// Path that is no database number.
    #[error("the URL's path is a database number, 0 to 255")]
    Database,
    /// Cluster with a database of another number.
    #[error("a cluster has database 0 alone")]
    ClusterDatabase,
    /// Query or fragment.
    #[error("the URL has no query and no fragment")]
    Query,
    /// Sentinels without the name of the primary.
    #[error("the URL of sentinels names the primary: ?master=<name>")]
    Master,
    /// Unknown parameter in the URL of sentinels.
    #[error("the query of the URL of sentinels has master, sentinel_user and sentinel_password alone")]
    SentinelQuery,
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

fn list(servers: &[Endpoint]) -> String {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    servers.join(",")
}

/// Text before, in and after the hosts of a URL, which may be several, separated by commas.
fn split_hosts(text: &str) -> Option<(String, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at_checked(end)?;
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    Some((format!("{scheme}://{login}"), hosts, after))
}

/// URL with the first of its hosts alone, as the URL standard knows one; others than those of several servers stay as they are.
fn with_first_host(text: &str) -> Option<String> {
    let (before, hosts, after) = split_hosts(text)?;
    let several = text.contains("-sentinel://") || text.contains("-cluster://");
    let first = hosts.split(',').next().filter(|_| several)?;
    Some(format!("{before}{first}{after}"))
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
const DEFAULT_SENTINEL_PORT: u16 = 26379;

#[cfg(test)]
mod tests;
