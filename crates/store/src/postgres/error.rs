//! How Postgres fails, and what that means for who asked.

use std::error::Error;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::StoreError;

/// How an attempt at a transaction ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection was to be had.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A statement failed; the transaction is rolled back.
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
    /// A row does not look as we write it.
    #[error("read a row")]
    Row(#[source] Box<dyn Error + Send + Sync>),
    /// No answer; the connection may never answer again.
    #[error("no answer in time")]
    Silent,
    /// COMMIT was sent and not, or not well, answered.
    #[error(transparent)]
    Commit(Box<Failure>),
    /// The deadline passed before COMMIT was sent.
    #[error("the deadline has passed")]
    TooLate,
    /// The session that the transaction acts for has ended.
    #[error("the session has ended")]
    SessionEnded,
}

impl Failure {
    pub(super) fn row(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Row(Box::new(error))
    }

    /// Whether another transaction was in the way, so that trying again at once helps.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        error.code().is_some_and(|code| CONFLICTS.contains(code))
    }

    /// Whether the connection is of no more use.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Commit(failure) => failure.spoils_connection(),
            _ => false,
        }
    }

    /// What it means for who asked for `step`.
    pub(super) fn during(self, step: &'static str) -> StoreError {
        let away = match &self {
            Self::Pool(_) | Self::Silent => true,
            Self::Statement(error) => is_away(error) || self.is_conflict(),
            Self::Row(_) | Self::Commit(_) | Self::TooLate | Self::SessionEnded => false,
        };
        match self {
            Self::TooLate => StoreError::TooLate(step),
            Self::SessionEnded => StoreError::SessionEnded(step),
            Self::Commit(failure) => StoreError::Unknown { step, source: failure },
            failure if away => StoreError::Away {
                step,
                source: Box::new(failure),
            },
            failure => StoreError::Broken {
                step,
                source: Box::new(failure),
            },
        }
    }
}

/// Whether the server is gone, going, not yet there, overloaded or a standby, or stopped us because it took too long.
fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>());
    };
    AWAY_CLASSES.iter().any(|class| code.code().starts_with(class)) || AWAY.contains(code)
}

/// Two transactions that cannot both go on. `UNIQUE_VIOLATION` is one too: the row that is in the way was not there when this
/// transaction looked, and a second look finds it.
const CONFLICTS: [SqlState; 3] = [
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::UNIQUE_VIOLATION,
];

/// Connection exceptions, and insufficient resources such as too many connections or a full disk (PostgreSQL documentation,
/// appendix A).
const AWAY_CLASSES: [&str; 2] = ["08", "53"];

const AWAY: [SqlState; 7] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::QUERY_CANCELED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::READ_ONLY_SQL_TRANSACTION,
];
