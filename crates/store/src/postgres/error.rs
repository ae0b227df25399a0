//! How Postgres fails, and what that means for who asked.

use std::error::Error;
use std::io;

use deadpool::managed::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::connection::OpenError;
use crate::StoreError;

/// How an attempt at a transaction ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection could be opened.
    #[error(transparent)]
    Pool(#[from] PoolError<OpenError>),
    /// All connections were in use, for too long.
    #[error("no connection was free in time")]
    NoConnection,
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

    /// Whether trying again at once helps: another transaction was in the way, or the connection was of no use and another one may
    /// be. Nothing was committed.
    pub(super) fn may_be_repeated(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        is_conflict(error) || fault(error).is_some()
    }

    /// Whether the server, or what is in front of it, lets us have no further connection.
    pub(super) fn is_refused_connection(&self) -> bool {
        matches!(
            self,
            Self::Pool(PoolError::Backend(OpenError::Postgres(_)) | PoolError::Timeout(TimeoutType::Create))
        )
    }

    /// Whether the server has no connection left, for anyone.
    pub(super) fn is_too_many_connections(&self) -> bool {
        match self {
            Self::Pool(PoolError::Backend(OpenError::Postgres(error))) => {
                error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
            }
            _ => false,
        }
    }

    /// What makes the connection of no more use.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Silent => Some(Fault::Silent),
            Self::Commit(failure) => failure.fault(),
            Self::Statement(error) => fault(error),
            Self::Pool(_) | Self::NoConnection | Self::Row(_) | Self::TooLate | Self::SessionEnded => None,
        }
    }

    /// What it means for who asked for `step`.
    pub(super) fn during(self, step: &'static str) -> StoreError {
        let away = match &self {
            Self::Pool(_) | Self::NoConnection | Self::Silent => true,
            Self::Statement(error) => is_away(error) || is_conflict(error),
            Self::Row(_) | Self::Commit(_) | Self::TooLate | Self::SessionEnded => false,
        };
        match self {
            Self::TooLate => StoreError::TooLate(step),
            Self::SessionEnded => StoreError::SessionEnded(step),
            Self::Commit(failure) => StoreError::Unknown { step, source: failure },
            failure if away => StoreError::Unavailable {
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

/// What makes a connection of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server does not answer.
    Silent,
    /// The server takes no writes: a standby, or a primary that was demoted.
    ReadOnly,
    /// The server stops, or starts.
    Shutdown,
    /// This connection has ended.
    Closed,
}

impl Fault {
    /// For the metric.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::ReadOnly => "read_only",
            Self::Shutdown => "shutdown",
            Self::Closed => "closed",
        }
    }
}

fn fault(error: &tokio_postgres::Error) -> Option<Fault> {
    let Some(code) = error.code() else {
        return is_disconnected(error).then_some(Fault::Closed);
    };
    let class = |class| code.code().starts_with(class);
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Some(Fault::ReadOnly)
    } else if *code == SqlState::IDLE_SESSION_TIMEOUT
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        || class("08")
    {
        Some(Fault::Closed)
    } else if class("57P0") {
        Some(Fault::Shutdown)
    } else {
        None
    }
}

fn is_disconnected(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>())
}

fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| CONFLICTS.contains(code))
}

/// Whether the server is gone, going, not yet there, overloaded or a standby, or stopped us because it took too long.
fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return is_disconnected(error);
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
