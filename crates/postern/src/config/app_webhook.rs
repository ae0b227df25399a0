//! Webhooks to the application: the events that are queued, the receiver, and the secrets that sign.

use std::time::Duration;

use clap::Args;
use lifecycle::FileWatch;
use protocol::app_webhook::AppWebhookType;
use worker::{AppWebhookSecrets, AppWebhookSettings};

use super::{Problems, SecretArg, duration, heading};

/// Events that are queued for the application. Workers, and commands that publish events, have the same.
#[derive(Debug, Clone, Args)]
pub struct AppWebhookEventArgs {
    /// URL of the application's receiver of webhooks: https, or http to a loopback address. Without it none are queued.
    #[arg(long, env = URL, help_heading = heading::APP_WEBHOOKS)]
    pub app_webhook_url: Option<String>,
    /// Types of webhooks, comma separated; default: all.
    #[arg(long, env = EVENTS, value_delimiter = ',', help_heading = heading::APP_WEBHOOKS)]
    pub app_webhook_events: Vec<String>,
}

impl AppWebhookEventArgs {
    /// Types of the webhooks that are queued.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<Vec<AppWebhookType>> {
        let listed: Result<Vec<AppWebhookType>, _> =
            self.app_webhook_events.iter().map(|name| name.trim().parse()).collect();
        let listed = problems.take(EVENTS, listed)?;
        Some(match &self.app_webhook_url {
            None => Vec::new(),
            Some(_) if listed.is_empty() => AppWebhookType::ALL.to_vec(),
            Some(_) => listed,
        })
    }
}

/// Signatures and requests of webhooks to the application.
#[derive(Debug, Clone, Args)]
pub struct AppWebhookSenderArgs {
    /// Secrets that sign webhooks: `whsec_<base64>,...`. All sign, the first one first.
    #[arg(long, env = SECRETS, help_heading = heading::APP_WEBHOOKS)]
    pub app_webhook_secrets: Option<SecretArg>,
    /// Time in which the receiver must answer, 1 to 30 seconds.
    #[arg(long, env = TIMEOUT, default_value = "15s", help_heading = heading::APP_WEBHOOKS)]
    pub app_webhook_timeout: String,
}

impl AppWebhookSenderArgs {
    /// Receiver; none without a URL.
    pub(crate) fn check(&self, events: &AppWebhookEventArgs, problems: &mut Problems) -> Option<AppWebhookSettings> {
        let timeout = problems.take(TIMEOUT, duration(&self.app_webhook_timeout));
        if timeout.is_some_and(|timeout| !(SHORTEST..=LONGEST).contains(&timeout)) {
            problems.report(TIMEOUT, "is between `1s` and `30s`");
        }
        let url = events.app_webhook_url.as_deref()?;
        let secrets = problems.require(SECRETS, self.app_webhook_secrets.as_ref(), "the receiver is set");
        let secrets = problems.optional_secret(SECRETS, secrets)?;
        let secrets = problems.take(SECRETS, AppWebhookSecrets::parse(&secrets))?;
        problems.take(URL, AppWebhookSettings::new(url, secrets, timeout?))
    }

    /// Watch of the file of the secrets.
    pub(super) fn file(&self) -> Option<FileWatch<1>> {
        self.app_webhook_secrets
            .as_ref()
            .and_then(|secrets| secrets.watch(SECRETS))
    }
}

const URL: &str = "POSTERN_APP_WEBHOOK_URL";
const EVENTS: &str = "POSTERN_APP_WEBHOOK_EVENTS";
const SECRETS: &str = "POSTERN_APP_WEBHOOK_SECRETS";
const TIMEOUT: &str = "POSTERN_APP_WEBHOOK_TIMEOUT";

const SHORTEST: Duration = Duration::from_secs(1);
/// A draining worker waits a little longer for its requests.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn args(url: Option<&str>, events: &[&str], secrets: Option<&str>) -> (AppWebhookEventArgs, AppWebhookSenderArgs) {
        let sender = AppWebhookSenderArgs {
            app_webhook_secrets: secrets.map(|secrets| SecretArg::from(OsString::from(secrets))),
            app_webhook_timeout: "15s".to_owned(),
        };
        let events = AppWebhookEventArgs {
            app_webhook_url: url.map(str::to_owned),
            app_webhook_events: events.iter().map(|name| (*name).to_owned()).collect(),
        };
        (events, sender)
    }

    #[test]
    fn all_types_are_queued_with_a_url_and_none_without() {
        let mut problems = Problems::default();
        let mut queued = |url, events: &[&str]| args(url, events, None).0.check(&mut problems).unwrap();
        assert_eq!(queued(None, &["security.alert"]), []);
        assert_eq!(queued(Some("https://a.example"), &[]), AppWebhookType::ALL);
        assert_eq!(
            queued(Some("https://a.example"), &["security.alert"]),
            [AppWebhookType::SecurityAlert]
        );
        assert!(problems.finish(Some(())).is_ok());
    }

    #[test]
    fn wrong_values_are_reported_without_the_secret() {
        for (url, events, secrets, variable) in [
            ("http://a.example", "security.alert", Some(SECRET), URL),
            ("https://a.example", "security:alert", Some(SECRET), EVENTS),
            ("https://a.example", "security.alert", None, SECRETS),
            ("https://a.example", "security.alert", Some("whsec_s3cret"), SECRETS),
        ] {
            let mut problems = Problems::default();
            let (events, sender) = args(Some(url), &[events], secrets);
            let checked = events.check(&mut problems).zip(sender.check(&events, &mut problems));
            let error = problems.finish(checked).map(drop).unwrap_err().to_string();
            assert!(error.starts_with(variable) && !error.contains("s3cret"), "{error}");
        }
    }

    const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
}
