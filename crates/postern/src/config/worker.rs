//! `postern worker`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use protocol::account::AccountType;
use store::vault::VaultKeys;
use url::Url;
use worker::{ConnectState, EmailSettings, JobConcurrency, RedirectPolicy, SessionTimes, SmsSettings};

use super::{
    ConfigError, DatabaseArgs, DiscordArgs, EmailArgs, GithubArgs, INTERNAL_LISTEN, Problems, RedisArgs, SmsArgs,
    TelegramArgs, VaultKeysArgs, WebhookArgs, XTwitterArgs, address, duration,
};

/// The worker's flags and variables.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "POSTERN_INTERNAL_LISTEN", default_value = INTERNAL_LISTEN)]
    pub internal_listen: String,
    /// Which Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Which Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What seals.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
    /// What the hosted callbacks are built from.
    #[arg(long, env = "POSTERN_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Redirect URIs, `github=https://app.example/callback,...`; default: the hosted callbacks and loopback.
    #[arg(long, env = "POSTERN_REDIRECT_URIS", value_delimiter = ',')]
    pub redirect_uris: Vec<String>,
    /// `optional`, or `required`: every connect must have begun with `account:authorize`.
    #[arg(long, env = "POSTERN_CONNECT_STATE", default_value = "optional")]
    pub connect_state: String,
    /// How long a session lasts without activity.
    #[arg(long, env = "POSTERN_SESSION_TIMEOUT", default_value = "30m")]
    pub session_timeout: String,
    /// How long before its end the warning is sent; half of a timeout that is not longer.
    #[arg(long, env = "POSTERN_SESSION_WARNING", default_value = "5m")]
    pub session_warning: String,
    /// GitHub.
    #[command(flatten)]
    pub github: GithubArgs,
    /// Discord.
    #[command(flatten)]
    pub discord: DiscordArgs,
    /// X.
    #[command(flatten)]
    pub x_twitter: XTwitterArgs,
    /// Telegram.
    #[command(flatten)]
    pub telegram: TelegramArgs,
    /// What platforms prove their webhooks by.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    /// Second factors by email.
    #[command(flatten)]
    pub email: EmailArgs,
    /// Second factors by SMS.
    #[command(flatten)]
    pub sms: SmsArgs,
}

/// A worker's settings, checked.
#[derive(Debug)]
pub struct WorkerNode {
    /// `/livez`, `/readyz` and `/metrics`.
    pub internal_listen: SocketAddr,
    /// Which Redis.
    pub redis: bus::RedisSettings,
    /// Which Postgres.
    pub database: store::PgSettings,
    /// What seals.
    pub vault_keys: VaultKeys,
    /// GitHub, where it is offered.
    pub github: Option<platforms::Settings>,
    /// Discord, where it is offered.
    pub discord: Option<platforms::Settings>,
    /// X, where it is offered.
    pub x_twitter: Option<platforms::Settings>,
    /// Telegram, where it is offered.
    pub telegram: Option<platforms::TelegramSettings>,
    /// Discord's bot, where its inbox is read.
    pub discord_bot: Option<platforms::BotSettings>,
    /// Telegram's bot, where its inbox is read.
    pub telegram_bot: Option<platforms::BotSettings>,
    /// The webhooks that deliveries are taken from.
    pub hooks: Vec<platforms::WebhookVerifier>,
    /// Where emails go out, if they do.
    pub email: Option<EmailSettings>,
    /// Where text messages go out, if they do.
    pub sms: Option<SmsSettings>,
    /// The worker's own.
    pub worker: worker::Settings,
}

impl WorkerArgs {
    /// Checks everything.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn settings(&self) -> Result<WorkerNode, ConfigError> {
        let mut problems = Problems::default();
        let node = self.check(&mut problems);
        problems.finish(node)
    }

    fn check(&self, problems: &mut Problems) -> Option<WorkerNode> {
        let internal_listen = problems.take("POSTERN_INTERNAL_LISTEN", address(&self.internal_listen));
        let redis = self.redis.check(problems);
        let database = self.database.check(problems);
        let vault_keys = self.vault.check(problems);
        let github = self.github.check(problems);
        let discord = self.discord.check(problems);
        let x_twitter = self.x_twitter.check(problems);
        let telegram = self.telegram.check(problems);
        let hooks = self.webhooks.check(problems);
        let discord_bot = self.discord.bot(discord.as_ref(), problems);
        let has_webhook = self.webhooks.telegram_webhook_secret.is_some();
        let telegram_bot = self.telegram.bot(telegram.as_ref(), has_webhook, problems);
        let email = self.email.check(problems);
        let sms = self.sms.check(problems);
        let redirects = self.redirects(problems);
        let timeout = problems.take("POSTERN_SESSION_TIMEOUT", duration(&self.session_timeout));
        if timeout.is_some_and(|timeout| timeout < SHORTEST_SESSION) {
            problems.note("POSTERN_SESSION_TIMEOUT", "is at least `1s`");
        }
        let warning = problems.take("POSTERN_SESSION_WARNING", duration(&self.session_warning));
        let connect_state = match self.connect_state.as_str() {
            "optional" => Some(ConnectState::Optional),
            "required" => Some(ConnectState::Required),
            _ => {
                problems.note("POSTERN_CONNECT_STATE", "is `optional` or `required`");
                None
            }
        };
        let worker = worker::Settings {
            concurrency: JobConcurrency::default(),
            redirects: redirects?,
            connect_state: connect_state?,
            sessions: SessionTimes {
                timeout: timeout?,
                warning: warning?,
            },
            dangerous_repeatable_codes: None,
        };
        Some(WorkerNode {
            internal_listen: internal_listen?,
            redis: redis?,
            database: database?,
            vault_keys: vault_keys?,
            github,
            discord,
            x_twitter,
            telegram,
            discord_bot,
            telegram_bot,
            hooks,
            email,
            sms,
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

/// Where browsers reach us: the cookie of the callback's page goes over TLS only.
fn public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "https" && is_plain {
        Ok(url)
    } else {
        Err("is an https URL without query, fragment or user".to_owned())
    }
}

/// `github=https://app.example/callback`: a redirect URI is one platform's alone, so it says whose.
fn redirect(entry: &str) -> Result<(AccountType, String), String> {
    let (platform, uri) = entry.trim().split_once('=').unwrap_or_default();
    match platform.parse() {
        Ok(platform) => Ok((platform, uri.to_owned())),
        Err(_) => Err("lists `<platform>=<uri>`, comma separated: a redirect URI is one platform's alone".to_owned()),
    }
}

/// A shorter one would be over before its client has said anything.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_https_and_nothing_but_a_place() {
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
    fn a_redirect_uri_says_whose_it_is() {
        let uri = "https://app.example/callback?via=github";
        assert_eq!(
            redirect(&format!("github={uri}")),
            Ok((AccountType::Github, uri.to_owned()))
        );
        assert!(redirect(uri).is_err());
    }
}
