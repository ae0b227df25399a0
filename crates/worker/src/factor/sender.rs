//! Message senders: SMS and email, for codes and notices.

use std::time::Duration;

use lifecycle::{Dependencies, Dependency};
use protocol::fault::chain;
use protocol::secret::Secret;
use protocol::security::FactorMethod;
use telemetry::trace;
use tokio::time::timeout;
use tracing::Instrument;

use super::email::EmailSender;
use super::message::{Message, SendError};
use super::sms::SmsSender;
use super::trace::message_span;
use crate::metrics::{MessageLabel, Metrics};

/// Senders that the operator has configured. A method without a sender is not offered.
#[derive(Debug, Clone, Default)]
pub struct MessageSenders {
    /// Sender of emails.
    pub email: Option<EmailSender>,
    /// Sender of text messages.
    pub sms: Option<SmsSender>,
    outages: SenderOutages,
}

/// Dependencies of the senders, to which outages are reported.
#[derive(Debug, Clone, Default)]
struct SenderOutages {
    smtp: Option<Dependency>,
    sms: Option<Dependency>,
}

impl MessageSenders {
    /// Senders whose outages are reported as `smtp` and `sms`, each if it is configured.
    #[must_use]
    pub fn new(email: Option<EmailSender>, sms: Option<SmsSender>, dependencies: &Dependencies) -> Self {
        let outages = SenderOutages {
            smtp: email.is_some().then(|| dependencies.on_demand("smtp")),
            sms: sms.is_some().then(|| dependencies.on_demand("sms")),
        };
        Self { email, sms, outages }
    }

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
        let (span, timer) = (message_span(method), metrics.message(method));
        let sent = timeout(TIMEOUT, self.send_by(method, address, message).instrument(span.clone())).await;
        let sent = sent.unwrap_or(Err(SendError::Late(TIMEOUT)));
        if let Err(error) = &sent {
            trace::failed(&span, error.label().as_str(), error);
        }
        timer.end(sent.as_ref().map_or_else(SendError::label, |()| MessageLabel::Sent));
        self.outages.record(method, sent.as_ref().err());
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

impl SenderOutages {
    /// Records the end of a message. A server that refuses one message is there.
    fn record(&self, method: FactorMethod, error: Option<&SendError>) {
        let dependency = match method {
            FactorMethod::Totp => None,
            FactorMethod::Sms => self.sms.as_ref(),
            FactorMethod::Email => self.smtp.as_ref(),
        };
        let Some(dependency) = dependency else { return };
        match error {
            None | Some(SendError::Refused(_)) => dependency.succeeded(),
            Some(error) => {
                if let Some(class) = error.outage() {
                    dependency.failed(class, chain(error));
                }
            }
        }
    }
}

/// Below the ten seconds that a client waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(6);
