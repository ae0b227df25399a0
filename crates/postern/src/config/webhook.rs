//! Webhook secrets of the platforms.

use clap::Args;
use platforms::WebhookVerifier;
use protocol::account::AccountType;

use super::{Problems, SecretArg, heading};

/// Webhook secrets. Without its secret a platform's webhook accepts nothing.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// Secret of GitHub's webhook.
    #[arg(long, env = GITHUB, help_heading = heading::GITHUB)]
    pub github_webhook_secret: Option<SecretArg>,
    /// API consumer secret of X, not the OAuth 2 client secret.
    #[arg(long, env = X_TWITTER, help_heading = heading::X)]
    pub x_twitter_webhook_secret: Option<SecretArg>,
    /// Public key of the Discord application, in hexadecimal.
    #[arg(long, env = DISCORD, help_heading = heading::DISCORD)]
    pub discord_webhook_secret: Option<SecretArg>,
    /// `secret_token` of Telegram's `setWebhook`.
    #[arg(long, env = TELEGRAM, help_heading = heading::TELEGRAM)]
    pub telegram_webhook_secret: Option<SecretArg>,
}

impl WebhookArgs {
    /// Checks the section; returns the platforms with a secret.
    pub(super) fn check(&self, problems: &mut Problems) -> Vec<WebhookVerifier> {
        let mut secret = |variable, secret: &Option<SecretArg>| problems.optional_secret(variable, secret.as_ref());
        let github = secret(GITHUB, &self.github_webhook_secret);
        let x_twitter = secret(X_TWITTER, &self.x_twitter_webhook_secret);
        let discord = secret(DISCORD, &self.discord_webhook_secret);
        let telegram = problems.header(TELEGRAM, self.telegram_webhook_secret.as_ref());
        let given = [
            (AccountType::Github, GITHUB, github),
            (AccountType::XTwitter, X_TWITTER, x_twitter),
            (AccountType::Discord, DISCORD, discord),
            (AccountType::Telegram, TELEGRAM, telegram),
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
