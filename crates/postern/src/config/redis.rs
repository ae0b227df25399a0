//! Redis settings.

use bus::{RedisSettings, RedisUrl};
use clap::Args;
use lifecycle::FileWatch;

use super::{ConfigError, Problems, SecretArg, heading};

/// Redis settings.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// URL: `redis://` or `rediss://`, with user and password if needed.
    #[arg(long, env = URL, default_value = Self::URL, help_heading = heading::REDIS)]
    pub redis_url: SecretArg,
    /// Prefix of every key and channel.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = Self::PREFIX, help_heading = heading::REDIS)]
    pub redis_prefix: String,
    /// URL of another Redis, or another database, for rate limits; default: the same.
    #[arg(long, env = LIMITS_URL, help_heading = heading::REDIS)]
    pub redis_limits_url: Option<SecretArg>,
}

/// Watches of the files of the URLs, which are read again for their logins.
#[derive(Debug)]
pub struct RedisFiles {
    /// File of `POSTERN_REDIS_URL`.
    pub url: Option<FileWatch<1>>,
    /// File of `POSTERN_REDIS_LIMITS_URL`.
    pub limits_url: Option<FileWatch<1>>,
}

impl RedisArgs {
    /// Default of `POSTERN_REDIS_URL`.
    pub const URL: &'static str = "redis://127.0.0.1:6379";
    /// Default of `POSTERN_REDIS_PREFIX`.
    pub const PREFIX: &'static str = "pn";

    /// Watches of the files.
    pub(super) fn files(&self) -> RedisFiles {
        RedisFiles {
            url: self.redis_url.watch(URL),
            limits_url: self.redis_limits_url.as_ref().and_then(|url| url.watch(LIMITS_URL)),
        }
    }

    /// Checks this section alone.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self) -> Result<RedisSettings, ConfigError> {
        let mut problems = Problems::default();
        let settings = self.check(&mut problems);
        problems.finish(settings)
    }

    /// Checks the section.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<RedisSettings> {
        let url = url_of(URL, &self.redis_url, problems);
        let limits_url = match &self.redis_limits_url {
            Some(limits_url) => url_of(LIMITS_URL, limits_url, problems).map(Some),
            None => Some(None),
        };
        let prefix = problems.take("POSTERN_REDIS_PREFIX", self.redis_prefix.parse());
        Some(RedisSettings {
            url: url?,
            limits_url: limits_url?,
            prefix: prefix?,
            ca: None,
        })
    }
}

fn url_of(variable: &'static str, url: &SecretArg, problems: &mut Problems) -> Option<RedisUrl> {
    let url = problems.secret(variable, url)?;
    problems.take(variable, url.expose().parse())
}

const URL: &str = "POSTERN_REDIS_URL";
const LIMITS_URL: &str = "POSTERN_REDIS_LIMITS_URL";
