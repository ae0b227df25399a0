//! Message senders: SMS and email, for codes and notices.

use std::time::Duration;

use protocol::secret::Secret;
use protocol::security::FactorMethod;
use tokio::time::timeout;

use super::email::EmailSender;
use super::message::{Message, SendError};
use super::sms::SmsSender;
use crate::metrics::{MessageLabel, Metrics};

/// Senders that the operator has configured. A method without a sender is not offered.
#[derive(Debug, Clone, Default)]
pub struct MessageSenders {
    /// Sender of emails.
    pub email: Option<EmailSender>,
    /// Sender of text messages.
    pub sms: Option<SmsSender>,
}

impl MessageSenders {
    /// Reports whether a factor of this method can be used.
    pub(super) fn offers(&self, method: FactorMethod) -> bool {
        match method {
            FactorMethod::Totp => true,
            FactorMethod::Sms => self.sms.is_some(),
            FactorMethod::Email => self.email.is_some(),
        }
    }

    /// Sends a message and counts the outcome. The message may arrive in spite of an error.
    pub(super) async fn send(
        &self,
        method: FactorMethod,
        address: &Secret,
        message: &Message,
        metrics: &Metrics,
    ) -> Result<(), SendError> {
        let timer = metrics.message(method);
        let sent = timeout(TIMEOUT, self.send_by(method, address, message)).await;
        let sent = sent.unwrap_or(Err(SendError::Late(TIMEOUT)));
        timer.end(sent.as_ref().map_or_else(SendError::label, |()| MessageLabel::Sent));
        sent
    }

    async fn send_by(&self, method: FactorMethod, address: &Secret, message: &Message) -> Result<(), SendError> {
        match (method, &self.sms, &self.email) {
            (FactorMethod::Sms, Some(sms), _) => sms.send(address, message).await,
            (FactorMethod::Email, _, Some(email)) => email.send(address, message).await,
            _ => Err(SendError::NotOffered),
        }
    }
}

/// Below the ten seconds that a client waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(6);
