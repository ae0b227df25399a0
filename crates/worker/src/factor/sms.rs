//! Text messages, by the HTTP API that Twilio made and others speak: a form to `Messages.json` with basic authentication.

use std::fmt;
use std::time::Duration;

use platforms::{is_loopback, system_tls};
use protocol::secret::Secret;
use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

use super::courier::{Message, SendError};

/// Where text messages go out.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    messages: Url,
    account: String,
    token: Secret,
    from: String,
}

/// An address of an SMS API that nothing is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is https, or http to a loopback address, without user and password")]
pub struct InvalidSmsUrl;

impl SmsSettings {
    /// `url` is the API's, such as `https://api.twilio.com`; `account` and `token` are the account's SID and its token, `from` a
    /// number or name of the account's.
    ///
    /// # Errors
    /// [`InvalidSmsUrl`].
    pub fn new(url: &str, account: String, token: Secret, from: String) -> Result<Self, InvalidSmsUrl> {
        let mut messages = Url::parse(url).map_err(|_no_url| InvalidSmsUrl)?;
        let is_bare = messages.username().is_empty() && messages.password().is_none() && messages.query().is_none();
        let is_private = match messages.scheme() {
            "https" => true,
            "http" => messages.host().is_some_and(|host| is_loopback(&host)),
            _ => false,
        };
        if !(is_bare && is_private) {
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

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// TLS cannot be set up.
    #[error("set up TLS for text messages")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("set up the HTTP client for text messages")]
    Client(#[from] reqwest::Error),
}

/// Carries text messages. Clones share their connections.
#[derive(Clone)]
pub struct Sms {
    client: Client,
    settings: SmsSettings,
}

impl Sms {
    /// A client that trusts what the system trusts; sends nothing yet.
    ///
    /// # Errors
    /// [`SmsError`].
    pub fn new(settings: SmsSettings) -> Result<Self, SmsError> {
        let client = Client::builder()
            .tls_backend_preconfigured(system_tls("an SMS API")?)
            .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the code to wherever it points.
            .redirect(Policy::none())
            // A message that was taken and not answered would be sent, and paid for, twice.
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { client, settings })
    }

    /// The caller bounds the time. What is answered is not read: the status says all.
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
        if status.is_success() {
            Ok(())
        } else {
            Err(SendError::Refused(status.as_u16()))
        }
    }
}

impl fmt::Debug for Sms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sms").field(&self.settings).finish()
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<SmsSettings, InvalidSmsUrl> {
        SmsSettings::new(url, "AC 1".to_owned(), Secret::new("token"), "+15550100".to_owned())
    }

    #[test]
    fn messages_go_to_the_accounts_own_place_below_the_url() {
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
    fn codes_travel_over_tls_or_stay_on_this_machine() {
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
