//! Redis settings.

mod tls;

use bus::{RedisSettings, RedisUrl};
use clap::Args;
use lifecycle::FileWatch;

use super::{ConfigError, Problems, SecretArg, heading};

pub use self::tls::RedisTlsArgs;

/// Redis settings.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// URL: `redis://` or `rediss://`, with user and password if needed.
    #[arg(long, env = URL, default_value = Self::URL, help_heading = heading::REDIS)]
    pub redis_url: SecretArg,
    /// Prefix of every key and channel.
    #[arg(long, env = PREFIX, default_value = Self::PREFIX, help_heading = heading::REDIS)]
    pub redis_prefix: String,
    /// URL of another Redis, or another database, for rate limits; default: the same.
    #[arg(long, env = LIMITS_URL, help_heading = heading::REDIS)]
    pub redis_limits_url: Option<SecretArg>,
    /// TLS of `rediss://`.
    #[command(flatten)]
    pub redis_tls: RedisTlsArgs,
}

/// Watches of the files of Redis: those of the URLs are read again for their logins, those of TLS for new connections.
#[derive(Debug)]
pub struct RedisFiles {
    /// File of `POSTERN_REDIS_URL`.
    pub url: Option<FileWatch<1>>,
    /// File of `POSTERN_REDIS_LIMITS_URL`.
    pub limits_url: Option<FileWatch<1>>,
    /// File of `POSTERN_REDIS_CA`.
    pub authorities: Option<FileWatch<1>>,
    /// Files of `POSTERN_REDIS_CERT` and `POSTERN_REDIS_KEY`.
    pub identity: Option<FileWatch<2>>,
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
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<RedisSettings> {
        let (settings, _files) = self.check_with_files(problems)?;
        Some(settings)
    }

    /// Checks the section, for a node that reads its files again.
    pub(super) fn check_with_files(&self, problems: &mut Problems) -> Option<(RedisSettings, RedisFiles)> {
        let url = url_of(URL, &self.redis_url, problems);
        let limits_url = match &self.redis_limits_url {
            Some(limits_url) => url_of(LIMITS_URL, limits_url, problems).map(Some),
            None => Some(None),
        };
        let prefix = problems.take(PREFIX, self.redis_prefix.parse());
        let checked = self.redis_tls.check(problems);
        let (url, limits_url) = (url?, limits_url?);
        let uses_tls = url.uses_tls() || limits_url.as_ref().is_some_and(RedisUrl::uses_tls);
        if let Some(variable) = self.redis_tls.first().filter(|_| !uses_tls) {
            // Unused, it would seem to protect a connection in clear text.
            problems.report(variable, format!("is for rediss://, which {URL} does not begin with"));
        }
        let checked = checked?;
        let settings = RedisSettings {
            url,
            limits_url,
            prefix: prefix?,
            tls: checked.tls,
        };
        let files = RedisFiles {
            url: self.redis_url.watch(URL),
            limits_url: self.redis_limits_url.as_ref().and_then(|url| url.watch(LIMITS_URL)),
            authorities: checked.authorities,
            identity: checked.identity,
        };
        Some((settings, files))
    }
}

fn url_of(variable: &'static str, url: &SecretArg, problems: &mut Problems) -> Option<RedisUrl> {
    let url = problems.secret(variable, url)?;
    problems.take(variable, url.expose().parse())
}

const URL: &str = "POSTERN_REDIS_URL";
const PREFIX: &str = "POSTERN_REDIS_PREFIX";
const LIMITS_URL: &str = "POSTERN_REDIS_LIMITS_URL";

#[cfg(test)]
mod tests;
