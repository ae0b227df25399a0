//! Message that carries a code or a notice, and the failure to send it.

use std::error::Error;
use std::iter;
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
    #[error("the server refused this client with status {0}")]
    Rejected(u16),
    #[error("the server could not be reached")]
    Unreached(#[source] Box<dyn Error + Send + Sync>),
    #[error("the server did not accept the message within {0:?}")]
    Late(Duration),
}

impl SendError {
    /// Label of the metric.
    pub(super) fn label(&self) -> MessageLabel {
        match self {
            Self::NotOffered => MessageLabel::NotOffered,
            Self::Unaddressed => MessageLabel::Unaddressed,
            Self::Refused(_) | Self::Rejected(_) => MessageLabel::Refused,
            Self::Unreached(_) => MessageLabel::Unreached,
            Self::Late(_) => MessageLabel::Late,
        }
    }

    /// Class of a failure of the server itself; none for one of this message.
    pub(super) fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Rejected(_) => Some("refused"),
            Self::Unreached(_) => Some("unreachable"),
            Self::Late(_) => Some("timeout"),
            Self::NotOffered | Self::Unaddressed | Self::Refused(_) => None,
        }
    }
}

/// Reports whether the failure is part of an outage of a mail server or SMS API, which [`super::MessageSenders`] logs.
pub(crate) fn is_logged_outage(error: &(dyn Error + 'static)) -> bool {
    send_error(error).is_some_and(|failure| failure.outage().is_some())
}

/// Reports whether the failure is about one message, whose server is there.
pub(crate) fn is_refused_message(error: &(dyn Error + 'static)) -> bool {
    send_error(error).is_some_and(|failure| failure.outage().is_none())
}

fn send_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a SendError> {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    causes.find_map(|error| error.downcast_ref())
}

impl Fault for SendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered => ErrorCode::NotSupported,
            Self::Unaddressed => ErrorCode::Internal,
            Self::Refused(_) | Self::Rejected(_) | Self::Unreached(_) | Self::Late(_) => ErrorCode::Unavailable,
        }
    }
}
