//! Credentials of the application at the platforms.

use clap::Args;
use platforms::{BotSettings, Discord, Github, InsecureUrl, Settings, Telegram, TelegramSettings, XTwitter};
use url::Url;

use super::number::refuse_float;
use super::{Problems, SecretArg, heading, name};

/// GitHub: an OAuth App. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct GithubArgs {
    /// Client id of the OAuth App.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_ID", value_parser = name, help_heading = heading::GITHUB)]
    pub github_client_id: Option<String>,
    /// Client secret of the OAuth App.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_SECRET", help_heading = heading::GITHUB)]
    pub github_client_secret: Option<SecretArg>,
    /// Authorization URL.
    #[arg(long, env = "POSTERN_GITHUB_AUTH_URL", default_value = Github::AUTHORIZE_URL, help_heading = heading::GITHUB)]
    pub github_auth_url: String,
    /// Token URL.
    #[arg(long, env = "POSTERN_GITHUB_TOKEN_URL", default_value = Github::TOKEN_URL, help_heading = heading::GITHUB)]
    pub github_token_url: String,
    /// API URL.
    #[arg(long, env = "POSTERN_GITHUB_API_URL", default_value = Github::API_URL, help_heading = heading::GITHUB)]
    pub github_api_url: String,
    /// Revocation URL, in full; default: `/applications/<client id>/grant` of the API.
    #[arg(long, env = "POSTERN_GITHUB_REVOKE_URL", help_heading = heading::GITHUB)]
    pub github_revoke_url: Option<String>,
}

/// Discord: an application. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct DiscordArgs {
    /// Client id of the application.
    #[arg(long, env = "POSTERN_DISCORD_CLIENT_ID", value_parser = name, help_heading = heading::DISCORD)]
    pub discord_client_id: Option<String>,
    /// Client secret of the application.
    #[arg(long, env = "POSTERN_DISCORD_CLIENT_SECRET", help_heading = heading::DISCORD)]
    pub discord_client_secret: Option<SecretArg>,
    /// Authorization URL.
    #[arg(long, env = "POSTERN_DISCORD_AUTH_URL", default_value = Discord::AUTHORIZE_URL, help_heading = heading::DISCORD)]
    pub discord_auth_url: String,
    /// Token URL.
    #[arg(long, env = "POSTERN_DISCORD_TOKEN_URL", default_value = Discord::TOKEN_URL, help_heading = heading::DISCORD)]
    pub discord_token_url: String,
    /// API URL.
    #[arg(long, env = "POSTERN_DISCORD_API_URL", default_value = Discord::API_URL, help_heading = heading::DISCORD)]
    pub discord_api_url: String,
    /// Token of the application's bot, which reads the messages in its channels; without it none are read.
    #[arg(long, env = "POSTERN_DISCORD_BOT_TOKEN", help_heading = heading::DISCORD)]
    pub discord_bot_token: Option<SecretArg>,
    /// Revocation URL, in full; default: `/revoke` of the token URL.
    #[arg(long, env = "POSTERN_DISCORD_REVOKE_URL", help_heading = heading::DISCORD)]
    pub discord_revoke_url: Option<String>,
}

/// X: an application, as a confidential client. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct XTwitterArgs {
    /// Client id of the application.
    #[arg(long, env = "POSTERN_X_TWITTER_CLIENT_ID", value_parser = name, help_heading = heading::X)]
    pub x_twitter_client_id: Option<String>,
    /// Client secret of the application.
    #[arg(long, env = "POSTERN_X_TWITTER_CLIENT_SECRET", help_heading = heading::X)]
    pub x_twitter_client_secret: Option<SecretArg>,
    /// Authorization URL.
    #[arg(long, env = "POSTERN_X_TWITTER_AUTH_URL", default_value = XTwitter::AUTHORIZE_URL, help_heading = heading::X)]
    pub x_twitter_auth_url: String,
    /// Token URL.
    #[arg(long, env = "POSTERN_X_TWITTER_TOKEN_URL", default_value = XTwitter::TOKEN_URL, help_heading = heading::X)]
    pub x_twitter_token_url: String,
    /// API URL.
    #[arg(long, env = "POSTERN_X_TWITTER_API_URL", default_value = XTwitter::API_URL, help_heading = heading::X)]
    pub x_twitter_api_url: String,
    /// Revocation URL, in full; default: `/oauth2/revoke` of the API.
    #[arg(long, env = "POSTERN_X_TWITTER_REVOKE_URL", help_heading = heading::X)]
    pub x_twitter_revoke_url: Option<String>,
}

/// Telegram: the Web Login of a bot. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct TelegramArgs {
    /// Id of the bot.
    #[arg(long, env = "POSTERN_TELEGRAM_CLIENT_ID", value_parser = name, help_heading = heading::TELEGRAM)]
    pub telegram_client_id: Option<String>,
    /// Client secret of the Web Login, not the token of the bot.
    #[arg(long, env = "POSTERN_TELEGRAM_CLIENT_SECRET", help_heading = heading::TELEGRAM)]
    pub telegram_client_secret: Option<SecretArg>,
    /// Token of the bot: verifies data of the legacy Login Widget, and reads the bot's inbox.
    #[arg(long, env = "POSTERN_TELEGRAM_BOT_TOKEN", help_heading = heading::TELEGRAM)]
    pub telegram_bot_token: Option<SecretArg>,
    /// Inbox of the bot: `poll`, by workers alone, unless a webhook is set; or `off`.
    #[arg(long, env = TELEGRAM_INBOX, default_value = "poll", help_heading = heading::TELEGRAM)]
    pub telegram_inbox: String,
    /// Authorization URL.
    #[arg(long, env = "POSTERN_TELEGRAM_AUTH_URL", default_value = Telegram::AUTHORIZE_URL, help_heading = heading::TELEGRAM)]
    pub telegram_auth_url: String,
    /// Token URL.
    #[arg(long, env = "POSTERN_TELEGRAM_TOKEN_URL", default_value = Telegram::TOKEN_URL, help_heading = heading::TELEGRAM)]
    pub telegram_token_url: String,
    /// URL of the signing keys (JWKS).
    #[arg(long, env = "POSTERN_TELEGRAM_JWKS_URL", default_value = Telegram::JWKS_URL, help_heading = heading::TELEGRAM)]
    pub telegram_jwks_url: String,
    /// Issuer, compared byte for byte.
    #[arg(long, env = "POSTERN_TELEGRAM_ISSUER", value_parser = name, help_heading = heading::TELEGRAM)]
    #[arg(default_value = Telegram::ISSUER)]
    pub telegram_issuer: String,
    /// Bot API URL.
    #[arg(long, env = "POSTERN_TELEGRAM_API_URL", default_value = Telegram::API_URL, help_heading = heading::TELEGRAM)]
    pub telegram_api_url: String,
}

impl GithubArgs {
    /// Checks the section; none if the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let section = Section {
            client_id: ("POSTERN_GITHUB_CLIENT_ID", self.github_client_id.as_deref()),
            client_secret: ("POSTERN_GITHUB_CLIENT_SECRET", self.github_client_secret.as_ref()),
            authorize: ("POSTERN_GITHUB_AUTH_URL", &self.github_auth_url),
            token: ("POSTERN_GITHUB_TOKEN_URL", &self.github_token_url),
            api: ("POSTERN_GITHUB_API_URL", &self.github_api_url),
            revoke: self
                .github_revoke_url
                .as_deref()
                .map(|url| ("POSTERN_GITHUB_REVOKE_URL", url)),
        };
        section.check(problems)
    }
}

impl DiscordArgs {
    /// Checks the section; none if the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let section = Section {
            client_id: ("POSTERN_DISCORD_CLIENT_ID", self.discord_client_id.as_deref()),
            client_secret: ("POSTERN_DISCORD_CLIENT_SECRET", self.discord_client_secret.as_ref()),
            authorize: ("POSTERN_DISCORD_AUTH_URL", &self.discord_auth_url),
            token: ("POSTERN_DISCORD_TOKEN_URL", &self.discord_token_url),
            api: ("POSTERN_DISCORD_API_URL", &self.discord_api_url),
            revoke: self
                .discord_revoke_url
                .as_deref()
                .map(|url| ("POSTERN_DISCORD_REVOKE_URL", url)),
        };
        section.check(problems)
    }
}

impl XTwitterArgs {
    /// Checks the section; none if the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let section = Section {
            client_id: ("POSTERN_X_TWITTER_CLIENT_ID", self.x_twitter_client_id.as_deref()),
            client_secret: ("POSTERN_X_TWITTER_CLIENT_SECRET", self.x_twitter_client_secret.as_ref()),
            authorize: ("POSTERN_X_TWITTER_AUTH_URL", &self.x_twitter_auth_url),
            token: ("POSTERN_X_TWITTER_TOKEN_URL", &self.x_twitter_token_url),
            api: ("POSTERN_X_TWITTER_API_URL", &self.x_twitter_api_url),
            revoke: self
                .x_twitter_revoke_url
                .as_deref()
                .map(|url| ("POSTERN_X_TWITTER_REVOKE_URL", url)),
        };
        section.check(problems)
    }
}

impl TelegramArgs {
    /// Checks the section; none if the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<TelegramSettings> {
        let section = Section {
            client_id: ("POSTERN_TELEGRAM_CLIENT_ID", self.telegram_client_id.as_deref()),
            client_secret: ("POSTERN_TELEGRAM_CLIENT_SECRET", self.telegram_client_secret.as_ref()),
            authorize: ("POSTERN_TELEGRAM_AUTH_URL", &self.telegram_auth_url),
            token: ("POSTERN_TELEGRAM_TOKEN_URL", &self.telegram_token_url),
            api: ("POSTERN_TELEGRAM_API_URL", &self.telegram_api_url),
            revoke: None,
        };
        let bot_token = problems.header("POSTERN_TELEGRAM_BOT_TOKEN", self.telegram_bot_token.as_ref());
        let oauth = section.check(problems)?;
        let jwks_url = Url::parse(&self.telegram_jwks_url).map_err(|error| format!("is not a URL: {error}"));
        let settings = TelegramSettings {
            oauth,
            issuer: self.telegram_issuer.clone(),
            jwks_url: problems.take(JWKS_URL, jwks_url)?,
            bot_token,
        };
        if settings.check().is_err() {
            // The section has checked all other URLs.
            problems.report(JWKS_URL, INSECURE);
            return None;
        }
        Some(settings)
    }
}

impl DiscordArgs {
    /// Settings of the bot whose inbox is read, for an offered platform.
    pub(super) fn bot(&self, offered: Option<&Settings>, problems: &mut Problems) -> Option<BotSettings> {
        Some(BotSettings {
            token: problems.header("POSTERN_DISCORD_BOT_TOKEN", self.discord_bot_token.as_ref())?,
            api_url: offered?.api_url.clone(),
        })
    }
}

impl TelegramArgs {
    /// Settings of the bot whose inbox is read, for an offered platform; none while Telegram delivers to a webhook.
    pub(super) fn bot(
        &self,
        offered: Option<&TelegramSettings>,
        has_webhook: bool,
        problems: &mut Problems,
    ) -> Option<BotSettings> {
        let is_read = match self.telegram_inbox.as_str() {
            "poll" => !has_webhook,
            "off" => false,
            _ => {
                problems.report(TELEGRAM_INBOX, "is `poll` or `off`");
                false
            }
        };
        let offered = offered.filter(|_| is_read)?;
        Some(BotSettings {
            token: offered.bot_token.clone()?,
            api_url: offered.oauth.api_url.clone(),
        })
    }
}

const TELEGRAM_INBOX: &str = "POSTERN_TELEGRAM_INBOX";
const JWKS_URL: &str = "POSTERN_TELEGRAM_JWKS_URL";
const INSECURE: &str = "must be https, or http to a loopback address";

/// Common part of the platforms' sections: each variable with its value.
struct Section<'a> {
    client_id: (&'static str, Option<&'a str>),
    client_secret: (&'static str, Option<&'a SecretArg>),
    authorize: (&'static str, &'a str),
    token: (&'static str, &'a str),
    api: (&'static str, &'a str),
    revoke: Option<(&'static str, &'a str)>,
}

impl Section<'_> {
    fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let (variable, client_id) = self.client_id;
        let client_id = client_id?.to_owned();
        problems.take(variable, refuse_float(&client_id));
        let mut url = |(variable, text): (&'static str, &str)| {
            problems.take(
                variable,
                Url::parse(text).map_err(|error| format!("is not a URL: {error}")),
            )
        };
        let authorize_url = url(self.authorize);
        let token_url = url(self.token);
        let api_url = url(self.api);
        let revoke_url = self.revoke.map(url);
        let (variable, secret) = self.client_secret;
        let client_secret = problems
            .require(variable, secret, "the client id is set")
            .and_then(|secret| problems.header(variable, Some(secret)));
        let settings = Settings {
            client_id,
            client_secret: client_secret?,
            authorize_url: authorize_url?,
            token_url: token_url?,
            api_url: api_url?,
            revoke_url: revoke_url.flatten(),
        };
        if let Err(insecure) = settings.check() {
            problems.report(self.variable_of(insecure), INSECURE);
            return None;
        }
        Some(settings)
    }

    fn variable_of(&self, InsecureUrl(name): InsecureUrl) -> &'static str {
        match name {
            "authorize" => self.authorize.0,
            "token" => self.token.0,
            "revoke" => self.revoke.map_or(self.api.0, |(variable, _)| variable),
            _ => self.api.0,
        }
    }
}
