//! Errors of the store.

use protocol::code::ErrorCode;
use protocol::fault::Fault;

/// Error of a store operation. Nothing was committed unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable, restarting, or did not answer in time.
    #[error("{step}")]
    Unavailable {
        /// Operation that failed, such as `store the link`.
        step: &'static str,
        /// Error of the database client.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The commit was sent and its answer lost: it may have happened. A repeat under the same job id determines which.
    #[error("{step}: the outcome of the commit is unknown")]
    Unknown {
        /// Operation that failed.
        step: &'static str,
        /// Error of the database client.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused the statement, or a row does not have the expected content.
    #[error("{step}")]
    Broken {
        /// Operation that failed.
        step: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request's deadline passed before the commit; nothing was committed.
    #[error("{0}: the deadline has passed")]
    TooLate(&'static str),
    /// The session that asked has ended; nothing was committed.
    #[error("{0}: the session has ended")]
    SessionEnded(&'static str),
}

impl Fault for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Unknown { .. } | Self::TooLate(_) => ErrorCode::Timeout,
            Self::Broken { .. } => ErrorCode::Internal,
            Self::SessionEnded(_) => ErrorCode::Forbidden,
        }
    }
}
