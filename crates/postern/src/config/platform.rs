//! The application's credentials at the platforms.

use clap::Args;
use platforms::{Github, InsecureUrl, Settings, Telegram, TelegramSettings};
use protocol::secret::Secret;
use url::Url;

use super::{Problems, secret};

/// GitHub: an OAuth App. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct GithubArgs {
    /// The OAuth App's client id.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_ID")]
    pub github_client_id: Option<String>,
    /// The OAuth App's client secret.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub github_client_secret: Option<Secret>,
    /// Where users let the application in.
    #[arg(long, env = "POSTERN_GITHUB_AUTH_URL", default_value = Github::AUTHORIZE_URL)]
    pub github_auth_url: String,
    /// Where codes become tokens.
    #[arg(long, env = "POSTERN_GITHUB_TOKEN_URL", default_value = Github::TOKEN_URL)]
    pub github_token_url: String,
    /// Where the API is.
    #[arg(long, env = "POSTERN_GITHUB_API_URL", default_value = Github::API_URL)]
    pub github_api_url: String,
    /// Where grants are given back, the whole URL; default: `/applications/<client id>/grant` of the API.
    #[arg(long, env = "POSTERN_GITHUB_REVOKE_URL")]
    pub github_revoke_url: Option<String>,
}

impl GithubArgs {
    /// Checks the section; none when the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let client_id = self.github_client_id.clone()?;
        let client_secret = self.github_client_secret.clone();
        let mut url = |variable, text: &str| {
            problems.take(
                variable,
                Url::parse(text).map_err(|error| format!("is no URL: {error}")),
            )
        };
        let authorize_url = url("POSTERN_GITHUB_AUTH_URL", &self.github_auth_url);
        let token_url = url("POSTERN_GITHUB_TOKEN_URL", &self.github_token_url);
        let api_url = url("POSTERN_GITHUB_API_URL", &self.github_api_url);
        let revoke_url = self
            .github_revoke_url
            .as_deref()
            .map(|text| url("POSTERN_GITHUB_REVOKE_URL", text));
        let client_secret = problems.require("POSTERN_GITHUB_CLIENT_SECRET", client_secret, "the client id is set");
        let settings = Settings {
            client_id,
            client_secret: client_secret?,
            authorize_url: authorize_url?,
            token_url: token_url?,
            api_url: api_url?,
            revoke_url: revoke_url.flatten(),
        };
        if let Err(insecure) = settings.check() {
            problems.note(variable_of(insecure), "must be https, or http to a loopback address");
            return None;
        }
        Some(settings)
    }
}

/// Telegram: the Web Login of a bot. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct TelegramArgs {
    /// The bot's id.
    #[arg(long, env = "POSTERN_TELEGRAM_CLIENT_ID")]
    pub telegram_client_id: Option<String>,
    /// The Web Login's client secret; not the bot's token.
    #[arg(long, env = "POSTERN_TELEGRAM_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub telegram_client_secret: Option<Secret>,
    /// The bot's token: what the legacy Login Widget hands over is checked with it, and not taken without.
    #[arg(long, env = "POSTERN_TELEGRAM_BOT_TOKEN", hide_env_values = true, value_parser = secret)]
    pub telegram_bot_token: Option<Secret>,
    /// Where users let the application in.
    #[arg(long, env = "POSTERN_TELEGRAM_AUTH_URL", default_value = Telegram::AUTHORIZE_URL)]
    pub telegram_auth_url: String,
    /// Where codes become tokens.
    #[arg(long, env = "POSTERN_TELEGRAM_TOKEN_URL", default_value = Telegram::TOKEN_URL)]
    pub telegram_token_url: String,
    /// Where the signing keys are published.
    #[arg(long, env = "POSTERN_TELEGRAM_JWKS_URL", default_value = Telegram::JWKS_URL)]
    pub telegram_jwks_url: String,
    /// Who signs, byte for byte.
    #[arg(long, env = "POSTERN_TELEGRAM_ISSUER", default_value = Telegram::ISSUER)]
    pub telegram_issuer: String,
    /// Where the Bot API is.
    #[arg(long, env = "POSTERN_TELEGRAM_API_URL", default_value = Telegram::API_URL)]
    pub telegram_api_url: String,
}

impl TelegramArgs {
    /// Checks the section; none when the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<TelegramSettings> {
        let client_id = self.telegram_client_id.clone()?;
        let client_secret = self.telegram_client_secret.clone();
        let mut url = |variable, text: &str| {
            problems.take(
                variable,
                Url::parse(text).map_err(|error| format!("is no URL: {error}")),
            )
        };
        let authorize_url = url("POSTERN_TELEGRAM_AUTH_URL", &self.telegram_auth_url);
        let token_url = url("POSTERN_TELEGRAM_TOKEN_URL", &self.telegram_token_url);
        let jwks_url = url("POSTERN_TELEGRAM_JWKS_URL", &self.telegram_jwks_url);
        let api_url = url("POSTERN_TELEGRAM_API_URL", &self.telegram_api_url);
        let client_secret = problems.require("POSTERN_TELEGRAM_CLIENT_SECRET", client_secret, "the client id is set");
        let settings = TelegramSettings {
            oauth: Settings {
                client_id,
                client_secret: client_secret?,
                authorize_url: authorize_url?,
                token_url: token_url?,
                api_url: api_url?,
                revoke_url: None,
            },
            issuer: self.telegram_issuer.clone(),
            jwks_url: jwks_url?,
            bot_token: self.telegram_bot_token.clone(),
        };
        if let Err(InsecureUrl(name)) = settings.check() {
            let variable = match name {
                "authorize" => "POSTERN_TELEGRAM_AUTH_URL",
                "token" => "POSTERN_TELEGRAM_TOKEN_URL",
                "jwks" => "POSTERN_TELEGRAM_JWKS_URL",
                _ => "POSTERN_TELEGRAM_API_URL",
            };
            problems.note(variable, "must be https, or http to a loopback address");
            return None;
        }
        Some(settings)
    }
}

fn variable_of(InsecureUrl(name): InsecureUrl) -> &'static str {
    match name {
        "authorize" => "POSTERN_GITHUB_AUTH_URL",
        "token" => "POSTERN_GITHUB_TOKEN_URL",
        "revoke" => "POSTERN_GITHUB_REVOKE_URL",
        _ => "POSTERN_GITHUB_API_URL",
    }
}
