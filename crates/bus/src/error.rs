//! Errors of the bus.

use protocol::code::ErrorCode;
use protocol::fault::Fault;

/// Failed operation of the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server is unreachable or did not reply in time. The operation may have been carried out.
    #[error("{step}")]
    Unavailable {
        /// Attempted operation, such as `publish an event`.
        step: &'static str,
        /// Cause, from the client library.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The lane is full; nothing was queued.
    #[error("the {0} lane is full")]
    Full(&'static str),
    /// No worker has claimed from the lane for 5 s; nothing was queued.
    #[error("no worker has claimed from the {0} lane for 5 s")]
    Unserved(&'static str),
    /// Too many events of the user wait to be published; this one was not published.
    #[error("too many events of the user wait to be published")]
    Busy,
    /// The data does not decode.
    #[error("{step}: unreadable")]
    Unreadable {
        /// Operation, or name of the message.
        step: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Fault for BusError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable { .. } | Self::Full(_) | Self::Unserved(_) | Self::Busy => ErrorCode::Unavailable,
            Self::Unreadable { .. } => ErrorCode::Internal,
        }
    }
}
