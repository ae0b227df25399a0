//! What platforms prove their webhooks by.

use clap::Args;
use platforms::WebhookVerifier;
use protocol::account::AccountType;
use protocol::secret::Secret;

use super::{Problems, secret};

/// The secrets of the webhooks. Without its secret a platform's webhook takes nothing.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// The secret that GitHub's webhook was given.
    #[arg(long, env = GITHUB, hide_env_values = true, value_parser = secret)]
    pub github_webhook_secret: Option<Secret>,
    /// X's API consumer secret; not the OAuth 2 client secret.
    #[arg(long, env = X_TWITTER, hide_env_values = true, value_parser = secret)]
    pub x_twitter_webhook_secret: Option<Secret>,
    /// The Discord application's public key, in hexadecimal digits.
    #[arg(long, env = DISCORD, hide_env_values = true, value_parser = secret)]
    pub discord_webhook_secret: Option<Secret>,
    /// The `secret_token` that Telegram's `setWebhook` was given.
    #[arg(long, env = TELEGRAM, hide_env_values = true, value_parser = secret)]
    pub telegram_webhook_secret: Option<Secret>,
}

impl WebhookArgs {
    /// Checks the section; those that have a secret.
    pub(super) fn check(&self, problems: &mut Problems) -> Vec<WebhookVerifier> {
        let telegram = problems.header(TELEGRAM, self.telegram_webhook_secret.as_ref());
        let given = [
            (AccountType::Github, GITHUB, &self.github_webhook_secret),
            (AccountType::XTwitter, X_TWITTER, &self.x_twitter_webhook_secret),
            (AccountType::Discord, DISCORD, &self.discord_webhook_secret),
            (AccountType::Telegram, TELEGRAM, &telegram),
        ];
        let hooks = given.into_iter().filter_map(|(platform, variable, secret)| {
            let hook = WebhookVerifier::new(platform, secret.as_ref()?).map_err(|error| error.to_string());
            problems.take(variable, hook)
        });
        hooks.collect()
    }
}

const GITHUB: &str = "POSTERN_GITHUB_WEBHOOK_SECRET";
const X_TWITTER: &str = "POSTERN_X_TWITTER_WEBHOOK_SECRET";
const DISCORD: &str = "POSTERN_DISCORD_WEBHOOK_SECRET";
const TELEGRAM: &str = "POSTERN_TELEGRAM_WEBHOOK_SECRET";
