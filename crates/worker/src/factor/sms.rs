//! SMS sender: the HTTP API of Twilio, which others implement too: a form to `Messages.json` with basic authentication.

use std::fmt;
use std::time::Duration;

use platforms::is_loopback;
use protocol::secret::Secret;
use reqwest::{Client, StatusCode};
use url::Url;

use super::message::{Message, SendError};
use super::trace::record_status;
use crate::http_client;

/// SMS API with its account.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    messages: Url,
    account: String,
    token: Secret,
    from: String,
}

/// URL that is not accepted for an SMS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user and password")]
pub struct InvalidSmsUrl;

impl SmsSettings {
    /// Validates settings. `url` is the API's, such as `https://api.twilio.com`; `account` and `token` are the account's SID and its
    /// token, `from` a number or sender name of the account.
    ///
    /// # Errors
    /// [`InvalidSmsUrl`].
    pub fn new(url: &str, account: String, token: Secret, from: String) -> Result<Self, InvalidSmsUrl> {
        let mut messages = Url::parse(url).map_err(|_no_url| InvalidSmsUrl)?;
        let is_bare = messages.username().is_empty() && messages.password().is_none() && messages.query().is_none();
        let is_confidential = match messages.scheme() {
            "https" => true,
            "http" => messages.host().is_some_and(|host| is_loopback(&host)),
            _ => false,
        };
        if !(is_bare && is_confidential) {
            return Err(InvalidSmsUrl);
        }
        messages
            .path_segments_mut()
            .map_err(|()| InvalidSmsUrl)?
            .pop_if_empty()
            .extend(["2010-04-01", "Accounts", &account, "Messages.json"]);
        Ok(Self {
            messages,
            account,
            token,
            from,
        })
    }
}

/// Failure to set up the SMS sender.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// TLS cannot be set up.
    #[error("set up TLS for text messages")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("set up the HTTP client for text messages")]
    Client(#[from] reqwest::Error),
}

/// SMS sender. Clones share their connections.
#[derive(Clone)]
pub struct SmsSender {
    client: Client,
    settings: SmsSettings,
}

impl SmsSender {
    /// Creates a sender that trusts the system's certificates; connects only to send.
    ///
    /// # Errors
    /// [`SmsError`].
    pub fn new(settings: SmsSettings) -> Result<Self, SmsError> {
        let client = http_client::builder("an SMS API", CONNECT_TIMEOUT)?.build()?;
        Ok(Self { client, settings })
    }

    /// Sends a text message. The caller applies the timeout. The response's status is the outcome; its body is not read.
    pub(super) async fn send(&self, number: &Secret, message: &Message) -> Result<(), SendError> {
        let SmsSettings {
            messages,
            account,
            token,
            from,
        } = &self.settings;
        let form = [("To", number.expose()), ("From", from), ("Body", message.text.expose())];
        let request = self
            .client
            .post(messages.clone())
            .basic_auth(account, Some(token.expose()))
            .form(&form);
        let unreached = |error: reqwest::Error| SendError::Unreached(error.without_url().into());
        let status = request.send().await.map_err(unreached)?.status();
        record_status(status.as_u16());
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(SendError::Rejected(status.as_u16())),
            _ if status.is_server_error() => Err(SendError::Rejected(status.as_u16())),
            _ => Err(SendError::Refused(status.as_u16())),
        }
    }
}

impl fmt::Debug for SmsSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SmsSender").field(&self.settings).finish()
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<SmsSettings, InvalidSmsUrl> {
        SmsSettings::new(url, "AC 1".to_owned(), Secret::new("token"), "+15550100".to_owned())
    }

    #[test]
    fn messages_url_contains_the_account() {
        for (url, messages) in [
            (
                "https://api.example",
                "https://api.example/2010-04-01/Accounts/AC%201/Messages.json",
            ),
            (
                "http://127.0.0.1:9100/sms/",
                "http://127.0.0.1:9100/sms/2010-04-01/Accounts/AC%201/Messages.json",
            ),
        ] {
            assert_eq!(settings(url).unwrap().messages.as_str(), messages);
        }
    }

    #[test]
    fn plain_http_is_accepted_for_this_machine_only() {
        for bad in [
            "http://api.example",
            "https://user:password@api.example",
            "https://api.example/?key=1",
            "smtp://api.example",
            "api.example",
        ] {
            assert_eq!(settings(bad).unwrap_err(), InvalidSmsUrl, "{bad}");
        }
    }
}
