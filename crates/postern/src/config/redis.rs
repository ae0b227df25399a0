//! Which Redis.

use bus::RedisSettings;
use clap::Args;
use protocol::secret::Secret;

use super::{ConfigError, Problems, secret};

/// Which Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// `redis://` or `rediss://`, with user and password where needed.
    #[arg(long, env = "POSTERN_REDIS_URL", hide_env_values = true, value_parser = secret, default_value = Self::URL)]
    pub redis_url: Secret,
    /// What every key and channel begins with.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = Self::PREFIX)]
    pub redis_prefix: String,
    /// Another Redis, or another db, for rate counters; default: the same.
    #[arg(long, env = "POSTERN_REDIS_LIMITS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_limits_url: Option<Secret>,
}

impl RedisArgs {
    /// The default of `POSTERN_REDIS_URL`.
    pub const URL: &'static str = "redis://127.0.0.1:6379";
    /// The default of `POSTERN_REDIS_PREFIX`.
    pub const PREFIX: &'static str = "pn";

    /// Checks the section on its own.
    ///
    /// # Errors
    /// What is wrong.
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
