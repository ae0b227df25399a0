//! How the store fails.

use protocol::code::ErrorCode;
use protocol::fault::Fault;

/// Why the store could not do what it was asked. Nothing was committed, unless the step says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is restarting, or did not answer in time.
    #[error("{step}")]
    Unavailable {
        /// What was attempted, `store the link`.
        step: &'static str,
        /// What the database client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The commit was sent and its answer lost: it may have happened. A repeat under the same job id finds out.
    #[error("{step}: the outcome of the commit is unknown")]
    Unknown {
        /// What was attempted.
        step: &'static str,
        /// What the database client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused the statement, or a row does not look as we wrote it.
    #[error("{step}")]
    Broken {
        /// What was attempted.
        step: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request's deadline passed before the commit; nothing was done.
    #[error("{0}: the deadline has passed")]
    TooLate(&'static str),
    /// The session that asked has ended; nothing was done.
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
