//! `postern dev`.

use std::path::PathBuf;

use bus::RedisSettings;
use clap::Args;
use gateway::Origins;
use protocol::app_webhook::AppWebhookType;
use store::PgSettings;
use worker::{AppWebhookSettings, SessionTimes};

use crate::config::{
    AppWebhookEventArgs, AppWebhookSenderArgs, ConfigError, DatabaseArgs, Problems, RedisArgs, RedisTlsArgs, SecretArg,
    SessionArgs, TelemetryArgs, heading,
};

/// `postern dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Print one JSON line once ready, and nothing else, to stdout.
    #[arg(long)]
    pub json: bool,
    /// Directory of the certificate, the token secret and the internal token, for the next run and for `token` and `publish`.
    #[command(flatten)]
    pub dir: DirArgs,
    /// Accepted browser origins beside loopback, comma separated.
    #[arg(long, env = "POSTERN_ALLOWED_ORIGINS", default_value = "", help_heading = heading::LISTENERS)]
    pub allowed_origins: String,
    /// URL of a Redis to use instead of the embedded bus.
    #[arg(long, env = "POSTERN_REDIS_URL", help_heading = heading::REDIS)]
    pub redis_url: Option<SecretArg>,
    /// Prefix of every key and channel in Redis.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = RedisArgs::PREFIX, help_heading = heading::REDIS)]
    pub redis_prefix: String,
    /// TLS of that Redis.
    #[command(flatten)]
    pub redis_tls: RedisTlsArgs,
    /// Postgres to use instead of the embedded store; it is migrated first.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Session timeout and its warning.
    #[command(flatten)]
    pub sessions: SessionArgs,
    /// Events that are queued for the application.
    #[command(flatten)]
    pub app_webhook_events: AppWebhookEventArgs,
    /// Webhooks to the application.
    #[command(flatten)]
    pub app_webhooks: AppWebhookSenderArgs,
    /// Export of telemetry.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

impl DevArgs {
    /// Accepted browser origins: loopback, and the given ones.
    ///
    /// # Errors
    /// Invalid origin.
    pub fn origins(&self) -> Result<Origins, ConfigError> {
        let mut problems = Problems::default();
        let origins = problems.take("POSTERN_ALLOWED_ORIGINS", Origins::parse(&self.allowed_origins));
        problems.finish(origins.map(Origins::with_loopback))
    }

    /// Session timeout and its warning.
    ///
    /// # Errors
    /// Invalid durations.
    pub fn session_times(&self) -> Result<SessionTimes, ConfigError> {
        let mut problems = Problems::default();
        let sessions = self.sessions.check(&mut problems);
        problems.finish(sessions)
    }

    /// Types of the webhooks to the application, and their receiver, if any.
    ///
    /// # Errors
    /// Invalid values.
    pub fn app_webhooks(&self) -> Result<(Vec<AppWebhookType>, Option<AppWebhookSettings>), ConfigError> {
        let mut problems = Problems::default();
        let types = self.app_webhook_events.check(&mut problems);
        let receiver = self.app_webhooks.check(&self.app_webhook_events, &mut problems);
        problems.finish(types.map(|types| (types, receiver)))
    }

    /// Settings of the given Redis, if any.
    ///
    /// # Errors
    /// Invalid URL or prefix.
    pub fn redis(&self) -> Result<Option<RedisSettings>, ConfigError> {
        let wanted = self.redis_url.clone().map(|redis_url| RedisArgs {
            redis_url,
            redis_prefix: self.redis_prefix.clone(),
            redis_limits_url: None,
            redis_tls: self.redis_tls.clone(),
        });
        wanted.map(|redis| redis.settings()).transpose()
    }

    /// Settings of the given Postgres, if any.
    ///
    /// # Errors
    /// Invalid URL.
    pub fn postgres(&self) -> Result<Option<PgSettings>, ConfigError> {
        self.database
            .database_url
            .is_some()
            .then(|| self.database.settings(Problems::default()))
            .transpose()
    }
}

/// Directory of `postern dev`.
#[derive(Debug, Clone, Args)]
pub struct DirArgs {
    /// Directory; default: `$XDG_RUNTIME_DIR/postern`, else `postern-<uid>` in the temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}
