//! How the bus fails.

use protocol::code::ErrorCode;
use protocol::fault::Fault;

/// Why the bus could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server cannot be reached or did not answer in time. Whether the request was carried out is not known.
    #[error("{step}")]
    Unavailable {
        /// What was attempted, `publish an event`.
        step: &'static str,
        /// What the client library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A queue is at its bound; nothing was done.
    #[error("the {0} lane is full")]
    Full(&'static str),
    /// What was read is not what we write.
    #[error("{step}: unreadable")]
    Unreadable {
        /// What was read, `a job`.
        step: &'static str,
        /// Why it cannot be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Fault for BusError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable { .. } | Self::Full(_) => ErrorCode::Unavailable,
            Self::Unreadable { .. } => ErrorCode::Internal,
        }
    }
}
