//! Receiver of webhooks.

use std::time::Duration;

use lifecycle::Reloadable;
use platforms::is_loopback;
use protocol::secret::Secret;
use url::Url;

use super::secrets::{AppWebhookSecrets, InvalidAppWebhookSecrets};

/// Receiver of webhooks. Clones share the secrets, which may be replaced.
#[derive(Debug, Clone)]
pub struct AppWebhookSettings {
    pub(super) url: Url,
    pub(super) secrets: Reloadable<AppWebhookSecrets>,
    pub(super) timeout: Duration,
}

/// URL that is not accepted for a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user, password and fragment")]
pub struct InvalidAppWebhookUrl;

impl AppWebhookSettings {
    /// Receiver at this URL, and the time in which it must answer.
    ///
    /// # Errors
    /// [`InvalidAppWebhookUrl`].
    pub fn new(url: &str, secrets: AppWebhookSecrets, timeout: Duration) -> Result<Self, InvalidAppWebhookUrl> {
        let url = Url::parse(url).map_err(|_no_url| InvalidAppWebhookUrl)?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_confidential = match url.scheme() {
            "https" => true,
            "http" => url.host().is_some_and(|host| is_loopback(&host)),
            _ => false,
        };
        if !(is_bare && is_confidential) {
            return Err(InvalidAppWebhookUrl);
        }
        Ok(Self {
            url,
            secrets: Reloadable::new(secrets),
            timeout,
        })
    }

    /// Replaces the secrets for requests from now on.
    ///
    /// # Errors
    /// [`InvalidAppWebhookSecrets`]; the secrets stay.
    pub fn replace_secrets(&self, text: &Secret) -> Result<(), InvalidAppWebhookSecrets> {
        self.secrets.set(AppWebhookSecrets::parse(text)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<AppWebhookSettings, InvalidAppWebhookUrl> {
        let secrets = AppWebhookSecrets::parse(&Secret::new(format!("whsec_{}", "A".repeat(43)))).unwrap();
        AppWebhookSettings::new(url, secrets, Duration::from_secs(1))
    }

    #[test]
    fn plain_http_is_accepted_for_this_machine_only() {
        for good in [
            "https://app.example/hooks?tenant=1",
            "http://127.0.0.1:3000/",
            "http://[::1]/x",
        ] {
            assert!(settings(good).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/hooks",
            "http://10.0.0.7/",
            "https://user:password@app.example/",
            "https://app.example/#part",
            "ftp://app.example",
            "app.example",
        ] {
            assert_eq!(settings(bad).unwrap_err(), InvalidAppWebhookUrl, "{bad}");
        }
    }

    #[test]
    fn unreadable_secrets_replace_none() {
        let settings = settings("https://app.example").unwrap();
        assert!(settings.replace_secrets(&Secret::new("whsec_")).is_err());
        let signed = settings
            .secrets
            .get()
            .sign("e-1", protocol::time::Timestamp::from_millis(0), "{}");
        assert!(signed.starts_with("v1,"), "{signed}");
    }
}
