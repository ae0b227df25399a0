//! Couriers: what carries codes and news to a user's telephone number or email address.

use std::time::Duration;

use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::secret::Secret;
use protocol::security::FactorMethod;
use tokio::time::timeout;

use super::email::Email;
use super::sms::Sms;
use crate::metrics::Metrics;

/// Those that an operator has set up. Without its courier a method is not offered.
#[derive(Debug, Clone, Default)]
pub struct MessageSenders {
    /// Carries emails.
    pub email: Option<Email>,
    /// Carries text messages.
    pub sms: Option<Sms>,
}

impl MessageSenders {
    /// Whether a factor can be given so.
    pub(super) fn offer(&self, method: FactorMethod) -> bool {
        match method {
            FactorMethod::Totp => true,
            FactorMethod::Sms => self.sms.is_some(),
            FactorMethod::Email => self.email.is_some(),
        }
    }

    /// Carries a message and counts how that ended. After an error it may have arrived all the same.
    pub(super) async fn carry(
        &self,
        method: FactorMethod,
        address: &Secret,
        message: &Message,
        metrics: &Metrics,
    ) -> Result<(), SendError> {
        let carried = timeout(WITHIN, self.carry_by(method, address, message)).await;
        let carried = carried.unwrap_or(Err(SendError::Late(WITHIN)));
        metrics.message(method, carried.as_ref().map_or_else(SendError::label, |()| "sent"));
        carried
    }

    async fn carry_by(&self, method: FactorMethod, address: &Secret, message: &Message) -> Result<(), SendError> {
        match (method, &self.sms, &self.email) {
            (FactorMethod::Sms, Some(sms), _) => sms.send(address, message).await,
            (FactorMethod::Email, _, Some(email)) => email.send(address, message).await,
            _ => Err(SendError::NotOffered),
        }
    }
}

/// What is carried. Plain words of ASCII, which every telephone and every mail server takes.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: &'static str,
    pub(super) text: Secret,
}

impl Message {
    /// A code that is good for so long.
    pub(super) fn with_code(code: &Secret, life: Duration) -> Self {
        let minutes = life.as_secs() / 60;
        let code = code.expose();
        Self {
            subject: "Your code",
            text: Secret::new(format!(
                "{code} is your code, for {minutes} minutes. Do not give it to anybody who asks you for it."
            )),
        }
    }

    /// The second factor is another one, or none.
    pub(super) fn factor_changed() -> Self {
        Self {
            subject: "Your second factor was changed",
            text: Secret::new(
                "The second factor of your account was changed. If it was not you, look at your account now.",
            ),
        }
    }
}

/// Why a message was not carried, or is not known to have been. Says nothing of message and address: what a server answers may
/// repeat both.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("no courier is set up for this method")]
    NotOffered,
    #[error("the address that is kept is none")]
    Unaddressed,
    #[error("the server refused the message with status {0}")]
    Refused(u16),
    #[error("the server could not be reached")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the message was not taken within {0:?}")]
    Late(Duration),
}

impl SendError {
    fn label(&self) -> &'static str {
        match self {
            Self::NotOffered => "not_offered",
            Self::Unaddressed => "unaddressed",
            Self::Refused(_) => "refused",
            Self::Unreached(_) => "unreached",
            Self::Late(_) => "late",
        }
    }
}

impl Fault for SendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered => ErrorCode::NotSupported,
            Self::Unaddressed => ErrorCode::Internal,
            Self::Refused(_) | Self::Unreached(_) | Self::Late(_) => ErrorCode::Unavailable,
        }
    }
}

/// A client waits for ten seconds in all.
const WITHIN: Duration = Duration::from_secs(6);
