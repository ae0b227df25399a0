//! Webhooks to the application, in the form of Standard Webhooks 1.0: sent until the receiver accepts each, or for some three days.

mod attempt;
mod client;
mod pace;
mod retry_delay;
mod secrets;
mod sender;
mod settings;

pub use self::client::{AppWebhookClient, AppWebhookClientError, AppWebhookSendError};
pub use self::secrets::{AppWebhookSecrets, InvalidAppWebhookSecrets};
pub(crate) use self::sender::AppWebhookSender;
pub use self::settings::{AppWebhookSettings, InvalidAppWebhookUrl};
