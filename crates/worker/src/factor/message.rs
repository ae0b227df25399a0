//! Message that carries a code or a notice, and the failure to send it.

use std::time::Duration;

use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::secret::Secret;

use crate::metrics::MessageLabel;

/// Text message or email. ASCII only, which every telephone and every mail server accepts.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: &'static str,
    pub(super) text: Secret,
}

impl Message {
    /// Message with a code and its lifetime.
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

    /// Notice that the second factor is another one, or off.
    pub(super) fn factor_changed() -> Self {
        Self {
            subject: "Your second factor was changed",
            text: Secret::new(
                "The second factor of your account was changed. If it was not you, look at your account now.",
            ),
        }
    }
}

/// Failure to send a message, or to learn that it was sent. Its text never contains the server's answer, which may repeat message
/// and address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("no sender is configured for this method")]
    NotOffered,
    #[error("the stored address is malformed")]
    Unaddressed,
    #[error("the server refused the message with status {0}")]
    Refused(u16),
    #[error("the server could not be reached")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the server did not accept the message within {0:?}")]
    Late(Duration),
}

impl SendError {
    /// Label of the metric.
    pub(super) fn label(&self) -> MessageLabel {
        match self {
            Self::NotOffered => MessageLabel::NotOffered,
            Self::Unaddressed => MessageLabel::Unaddressed,
            Self::Refused(_) => MessageLabel::Refused,
            Self::Unreached(_) => MessageLabel::Unreached,
            Self::Late(_) => MessageLabel::Late,
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
