//! Redis settings.

use bus::RedisSettings;
use clap::Args;
use protocol::secret::Secret;

use super::{ConfigError, Problems, secret};

/// Redis settings.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// URL: `redis://` or `rediss://`, with user and password if needed.
    #[arg(long, env = "POSTERN_REDIS_URL", hide_env_values = true, value_parser = secret, default_value = Self::URL)]
    pub redis_url: Secret,
    /// Prefix of every key and channel.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = Self::PREFIX)]
    pub redis_prefix: String,
    /// URL of another Redis, or another database, for rate limits; default: the same.
    #[arg(long, env = "POSTERN_REDIS_LIMITS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_limits_url: Option<Secret>,
}

impl RedisArgs {
    /// Default of `POSTERN_REDIS_URL`.
    pub const URL: &'static str = "redis://127.0.0.1:6379";
    /// Default of `POSTERN_REDIS_PREFIX`.
    pub const PREFIX: &'static str = "pn";

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
    pub(super) fn check(&self, problems: &mut Problems) -> Option<RedisSettings> {
        let url = problems.take("POSTERN_REDIS_URL", self.redis_url.expose().parse());
        let limits_url = self
            .redis_limits_url
            .as_ref()
            .map(|url| url.expose().parse())
            .transpose();
        let limits_url = problems.take("POSTERN_REDIS_LIMITS_URL", limits_url);
        let prefix = problems.take("POSTERN_REDIS_PREFIX", self.redis_prefix.parse());
        Some(RedisSettings {
            url: url?,
            limits_url: limits_url?,
            prefix: prefix?,
            ca: None,
        })
    }
}
