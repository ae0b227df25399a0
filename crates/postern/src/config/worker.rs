//! `postern worker`.

use std::net::SocketAddr;

use clap::Args;
use lifecycle::FileWatch;
use protocol::account::AccountType;
use store::vault::VaultKeys;
use url::Url;
use worker::{AppWebhookSettings, ConnectState, EmailSettings, JobConcurrency, RedirectPolicy, SmsSettings};

use super::{
    AppWebhookEventArgs, AppWebhookSenderArgs, ConfigError, DatabaseArgs, DiscordArgs, EmailArgs, GithubArgs,
    HEALTH_LISTEN, Problems, RedisArgs, RedisFiles, RetentionArgs, SessionArgs, SmsArgs, TelegramArgs, TelemetryArgs,
    VaultKeysArgs, WebhookArgs, XTwitterArgs, address, heading,
};

/// Flags and variables of the worker.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// Address of `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "POSTERN_HEALTH_LISTEN", default_value = HEALTH_LISTEN, help_heading = heading::LISTENERS)]
    pub health_listen: String,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
    /// Public URL, from which the hosted callbacks are built.
    #[arg(long, env = "POSTERN_PUBLIC_URL", help_heading = heading::CALLBACKS)]
    pub public_url: Option<String>,
    /// Redirect URIs, `github=https://app.example/callback,...`; default: the hosted callbacks and loopback.
    #[arg(long, env = "POSTERN_REDIRECT_URIS", value_delimiter = ',', help_heading = heading::CALLBACKS)]
    pub redirect_uris: Vec<String>,
    /// State of connects: `optional`, or `required`, so that every connect needs an `account:authorize` before it.
    #[arg(long, env = "POSTERN_CONNECT_STATE", default_value = "optional", help_heading = heading::CALLBACKS)]
    pub connect_state: String,
    /// Session timeout and its warning.
    #[command(flatten)]
    pub sessions: SessionArgs,
    /// Retention of rows.
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// GitHub settings.
    #[command(flatten)]
    pub github: GithubArgs,
    /// Discord settings.
    #[command(flatten)]
    pub discord: DiscordArgs,
    /// X settings.
    #[command(flatten)]
    pub x_twitter: XTwitterArgs,
    /// Telegram settings.
    #[command(flatten)]
    pub telegram: TelegramArgs,
    /// Webhook secrets.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    /// Second factors by email.
    #[command(flatten)]
    pub email: EmailArgs,
    /// Second factors by SMS.
    #[command(flatten)]
    pub sms: SmsArgs,
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

/// Checked settings of a worker.
#[derive(Debug)]
pub struct WorkerNode {
    /// Address of `/livez`, `/readyz` and `/metrics`.
    pub health_listen: SocketAddr,
    /// Redis settings.
    pub redis: bus::RedisSettings,
    /// Postgres settings.
    pub database: store::PgSettings,
    /// Vault keys.
    pub vault_keys: VaultKeys,
    /// Watches of the files of Redis.
    pub redis_files: RedisFiles,
    /// Watch of the file of the database's URL.
    pub database_file: Option<FileWatch<1>>,
    /// Watch of the file of the vault keys.
    pub vault_file: Option<FileWatch<1>>,
    /// GitHub, if offered.
    pub github: Option<platforms::Settings>,
    /// Discord, if offered.
    pub discord: Option<platforms::Settings>,
    /// X, if offered.
    pub x_twitter: Option<platforms::Settings>,
    /// Telegram, if offered.
    pub telegram: Option<platforms::TelegramSettings>,
    /// Discord bot, if its inbox is read.
    pub discord_bot: Option<platforms::BotSettings>,
    /// Telegram bot, if its inbox is read.
    pub telegram_bot: Option<platforms::BotSettings>,
    /// Verifiers of the accepted webhooks.
    pub hooks: Vec<platforms::WebhookVerifier>,
    /// Mail server, if configured.
    pub email: Option<EmailSettings>,
    /// SMS API, if configured.
    pub sms: Option<SmsSettings>,
    /// Receiver of webhooks to the application, if configured.
    pub app_webhooks: Option<AppWebhookSettings>,
    /// Watch of the file of the secrets that sign them.
    pub app_webhook_file: Option<FileWatch<1>>,
    /// Settings of the worker itself.
    pub worker: worker::Settings,
}

impl WorkerArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, mut problems: Problems) -> Result<WorkerNode, ConfigError> {
        let node = self.check(&mut problems);
        problems.finish(node)
    }

    fn check(&self, problems: &mut Problems) -> Option<WorkerNode> {
        let health_listen = problems.take("POSTERN_HEALTH_LISTEN", address(&self.health_listen));
        let redis = self.redis.check_with_files(problems);
        let database = self.database.check(problems);
        let vault_keys = self.vault.check(problems);
        let github = self.github.check(problems);
        let discord = self.discord.check(problems);
        let x_twitter = self.x_twitter.check(problems);
        let telegram = self.telegram.check(problems);
        let hooks = self.webhooks.check(problems);
        let telemetry = self.telemetry.check(problems);
        let discord_bot = self.discord.bot(discord.as_ref(), problems);
        let has_webhook = self.webhooks.telegram_webhook_secret.is_some();
        let telegram_bot = self.telegram.bot(telegram.as_ref(), has_webhook, problems);
        let email = self.email.check(problems);
        let sms = self.sms.check(problems);
        let app_webhook_events = self.app_webhook_events.check(problems);
        let app_webhooks = self.app_webhooks.check(&self.app_webhook_events, problems);
        let redirects = self.redirects(problems);
        let sessions = self.sessions.check(problems);
        let retention = self.retention.check(problems);
        let connect_state = match self.connect_state.as_str() {
            "optional" => Some(ConnectState::Optional),
            "required" => Some(ConnectState::Required),
            _ => {
                problems.report("POSTERN_CONNECT_STATE", "is `optional` or `required`");
                None
            }
        };
        telemetry?;
        let (redis, redis_files) = redis?;
        let worker = worker::Settings {
            concurrency: JobConcurrency::default(),
            redirects: redirects?,
            connect_state: connect_state?,
            sessions: sessions?,
            retention: retention?,
            dangerous_repeatable_codes: None,
        };
        Some(WorkerNode {
            health_listen: health_listen?,
            redis,
            database: database?.queueing_app_webhooks(&app_webhook_events?),
            vault_keys: vault_keys?,
            redis_files,
            database_file: self.database.file(),
            vault_file: self.vault.file(),
            github,
            discord,
            x_twitter,
            telegram,
            discord_bot,
            telegram_bot,
            hooks,
            email,
            sms,
            app_webhooks,
            app_webhook_file: self.app_webhooks.file(),
            worker,
        })
    }

    fn redirects(&self, problems: &mut Problems) -> Option<RedirectPolicy> {
        let public_url = self.public_url.as_deref().map(public_url).transpose();
        let public_url = problems.take("POSTERN_PUBLIC_URL", public_url)?;
        if self.redirect_uris.is_empty() {
            return Some(RedirectPolicy::standard(public_url.as_ref()));
        }
        let listed = problems.take(
            "POSTERN_REDIRECT_URIS",
            self.redirect_uris.iter().map(|entry| redirect(entry)).collect(),
        )?;
        let listed: Vec<(AccountType, String)> = listed;
        let policy = problems.take("POSTERN_REDIRECT_URIS", RedirectPolicy::new(listed))?;
        Some(policy.hosted_at(public_url))
    }
}

/// Parses the URL for browsers: https, as the cookie of the callback's page is secure.
fn public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "https" && is_plain {
        Ok(url)
    } else {
        Err("is an https URL without query, fragment or user".to_owned())
    }
}

/// Parses `github=https://app.example/callback`: each redirect URI belongs to one platform.
fn redirect(entry: &str) -> Result<(AccountType, String), String> {
    let (platform, uri) = entry.trim().split_once('=').unwrap_or_default();
    match platform.parse() {
        Ok(platform) => Ok((platform, uri.to_owned())),
        Err(_) => {
            Err("lists `<platform>=<uri>`, comma separated: each redirect URI belongs to one platform".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_url_is_https_without_query_fragment_and_user() {
        assert!(public_url("https://accounts.example/base/").is_ok());
        for text in [
            "accounts.example",
            "http://accounts.example",
            "https://a.example/?q",
            "https://u@a.example",
        ] {
            assert!(public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirect_uri_requires_a_platform() {
        let uri = "https://app.example/callback?via=github";
        assert_eq!(
            redirect(&format!("github={uri}")),
            Ok((AccountType::Github, uri.to_owned()))
        );
        assert!(redirect(uri).is_err());
    }
}
