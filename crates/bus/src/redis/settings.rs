//! Settings of the Redis bus.

mod url;

use std::str::FromStr;

pub(crate) use self::url::{Credentials, Endpoint, Sentinels, Servers};
pub use self::url::{InvalidRedisUrl, RedisUrl, RedisUrlChange};

use super::tls::RedisTls;

/// Settings of a `RedisBus`.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Server.
    pub url: RedisUrl,
    /// Prefix of all keys and channels.
    pub prefix: Prefix,
    /// Server or database for the rate cells, whose expiries would wake every subscriber to keyspace notifications.
    pub limits_url: Option<RedisUrl>,
    /// TLS of `rediss://` servers.
    pub tls: RedisTls,
}

impl RedisSettings {
    /// Settings for a server, with the default prefix, one server for everything, and the authorities of the operating system.
    #[must_use]
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            prefix: Prefix::default(),
            limits_url: None,
            tls: RedisTls::default(),
        }
    }
}

/// Prefix of all keys and channels, `pn` by default, by which tests and tenants share a Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Prefix as text.
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

/// Prefix that would make key names ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has 1 to 64 ASCII alphanumerics, dots, dashes and underscores")]
pub struct InvalidPrefix;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_with_special_characters_is_refused() {
        assert_eq!("pn".parse::<Prefix>(), Ok(Prefix::default()));
        for text in ["", "a{b}", "a:b", "a b", "caf\u{e9}"] {
            assert_eq!(text.parse::<Prefix>(), Err(InvalidPrefix), "{text:?}");
        }
    }
}
