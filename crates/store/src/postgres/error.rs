//! Failures of Postgres, and the store's error for each.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::iter;

use deadpool::managed::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::connection::OpenError;
use crate::StoreError;
use crate::metrics::{DiscardReason, OperationEnd};
use crate::step::Step;

/// Failure of one attempt at a transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection could be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server did not complete the opening of a connection in time.
    #[error("the server did not accept a connection in time")]
    OpenTimeout,
    /// All connections were in use for too long.
    #[error("no connection was free in time")]
    NoConnection,
    /// The pool hands out no more connections.
    #[error("the connection pool is closed")]
    PoolClosed,
    /// A statement failed; the transaction is rolled back.
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
    /// A row does not have the expected content.
    #[error("read a row")]
    Row(#[source] Box<dyn Error + Send + Sync>),
    /// The server did not answer, and may never answer on this connection.
    #[error("no answer in time")]
    Silent,
    /// COMMIT was sent, and its answer is missing or an error.
    #[error(transparent)]
    Commit(Box<Failure>),
    /// The deadline passed before COMMIT was sent.
    #[error("the deadline has passed")]
    TooLate,
    /// The session that the transaction acts for has ended.
    #[error("the session has ended")]
    SessionEnded,
}

/// The pool's error repeats the text of its source, so only the source is kept.
impl From<PoolError<OpenError>> for Failure {
    fn from(error: PoolError<OpenError>) -> Self {
        match error {
            PoolError::Backend(error) => Self::Open(error),
            PoolError::Timeout(TimeoutType::Create) => Self::OpenTimeout,
            PoolError::Timeout(TimeoutType::Wait | TimeoutType::Recycle) => Self::NoConnection,
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => Self::PoolClosed,
        }
    }
}

impl Failure {
    pub(super) fn row(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Row(Box::new(error))
    }

    /// True if an immediate retry may succeed: the transaction met a conflict, or its connection was broken. Nothing was committed.
    pub(super) fn may_be_repeated(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        is_conflict(error) || fault(error).is_some()
    }

    /// True if the server, or a proxy before it, refused a further connection.
    pub(super) fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Open(OpenError::Postgres(_)) | Self::OpenTimeout)
    }

    /// True if the server has no connection left for any client.
    pub(super) fn is_too_many_connections(&self) -> bool {
        match self {
            Self::Open(OpenError::Postgres(error)) => error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS),
            _ => false,
        }
    }

    /// Fault that makes the connection unusable, if there is one.
    pub(super) fn fault(&self) -> Option<ConnectionFault> {
        match self {
            Self::Silent => Some(ConnectionFault::Silent),
            Self::Commit(failure) => failure.fault(),
            Self::Statement(error) => fault(error),
            Self::Open(_)
            | Self::OpenTimeout
            | Self::NoConnection
            | Self::PoolClosed
            | Self::Row(_)
            | Self::TooLate
            | Self::SessionEnded => None,
        }
    }

    /// SQLSTATE of the server's answer, if it is the cause.
    pub(super) fn sql_state(&self) -> Option<&str> {
        match self {
            Self::Open(OpenError::Postgres(error)) | Self::Statement(error) => error.code().map(SqlState::code),
            Self::Commit(failure) => failure.sql_state(),
            _ => None,
        }
    }

    /// Class of the failure, one of few and without text of the server: that of an outage, or the failure's own.
    pub(super) fn class(&self) -> &'static str {
        if let Some(outage) = self.outage() {
            return outage;
        }
        match self {
            Self::Open(_) | Self::OpenTimeout => "unreachable",
            Self::NoConnection | Self::PoolClosed => "no_connection",
            Self::Statement(error) if is_conflict(error) => "conflict",
            Self::Statement(_) => "statement",
            Self::Row(_) => "row",
            Self::Silent => "timeout",
            Self::Commit(failure) => failure.class(),
            Self::TooLate => "too_late",
            Self::SessionEnded => "session_ended",
        }
    }

    /// Class of an outage of the server.
    fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Open(OpenError::ReadOnly) => Some("read_only"),
            Self::Open(OpenError::Postgres(error)) => Some(refused_connection(error)),
            Self::OpenTimeout | Self::Silent => Some("timeout"),
            Self::Commit(failure) => failure.outage(),
            Self::Statement(error) => Some(match fault(error)? {
                ConnectionFault::Silent => "timeout",
                ConnectionFault::ReadOnly => "read_only",
                ConnectionFault::Shutdown => "shutdown",
                ConnectionFault::Closed => "unreachable",
            }),
            Self::NoConnection | Self::PoolClosed | Self::Row(_) | Self::TooLate | Self::SessionEnded => None,
        }
    }

    /// Error of the operation `step` that failed.
    pub(super) fn during(self, step: Step) -> StoreError {
        let step = step.as_str();
        let is_unavailable = match &self {
            Self::Open(_) | Self::OpenTimeout | Self::NoConnection | Self::PoolClosed | Self::Silent => true,
            Self::Statement(error) => is_unavailable(error) || is_conflict(error),
            Self::Row(_) | Self::Commit(_) | Self::TooLate | Self::SessionEnded => false,
        };
        match self {
            Self::TooLate => StoreError::TooLate(step),
            Self::SessionEnded => StoreError::SessionEnded(step),
            Self::Commit(failure) => StoreError::Unknown { step, source: failure },
            failure if is_unavailable => StoreError::Unavailable {
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

/// End of an attempt at an operation, in the metric of operations on the server. Where the caller's own condition does not hold, the
/// server has done its part.
pub(super) fn operation_end<T>(outcome: &Result<T, Failure>) -> OperationEnd {
    match outcome {
        Ok(_) | Err(Failure::TooLate | Failure::SessionEnded) => OperationEnd::Succeeded,
        Err(Failure::NoConnection | Failure::PoolClosed) => OperationEnd::NotSent,
        Err(failure @ Failure::Silent) => OperationEnd::Interrupted(failure.class()),
        Err(failure) => OperationEnd::Failed(failure.class()),
    }
}

impl StoreError {
    /// Class of an outage of the server, such as `timeout`; none for a failure that has another cause, such as a conflict of two
    /// transactions or a pool without a free connection.
    #[must_use]
    pub fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { source, .. } => source.downcast_ref::<Failure>()?.outage(),
            Self::Unknown { .. } | Self::Broken { .. } | Self::TooLate(_) | Self::SessionEnded(_) => None,
        }
    }
}

/// Reports whether the failure at the end of this chain is part of an outage of the server. A store that was connected with a dependency
/// has logged it itself.
#[must_use]
pub fn is_logged_outage(error: &(dyn Error + 'static)) -> bool {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    let failure = causes.find_map(|error| error.downcast_ref::<Failure>());
    failure.is_some_and(|failure| failure.outage().is_some())
}

/// Fault that makes a connection unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionFault {
    /// The server does not answer.
    Silent,
    /// The server accepts no writes: a standby, or a primary that was demoted.
    ReadOnly,
    /// The server stops, or starts.
    Shutdown,
    /// The connection has ended.
    Closed,
}

impl ConnectionFault {
    /// Reason for which the connection is discarded.
    pub(super) fn discard_reason(self) -> DiscardReason {
        match self {
            Self::Silent => DiscardReason::Silent,
            Self::ReadOnly => DiscardReason::ReadOnly,
            Self::Shutdown => DiscardReason::Shutdown,
            Self::Closed => DiscardReason::Closed,
        }
    }
}

/// Class of the server's reason not to open a connection, by the classes of SQLSTATE (PostgreSQL documentation, appendix A).
fn refused_connection(error: &tokio_postgres::Error) -> &'static str {
    match error.code().map(SqlState::code) {
        None => "unreachable",
        Some(code) if code.starts_with("28") => "auth",
        Some(code) if code.starts_with("3D") => "no_database",
        Some(code) if code.starts_with("53") => "overloaded",
        Some(code) if code.starts_with("57P0") => "shutdown",
        Some(_) => "refused",
    }
}

fn fault(error: &tokio_postgres::Error) -> Option<ConnectionFault> {
    let Some(code) = error.code() else {
        return is_disconnected(error).then_some(ConnectionFault::Closed);
    };
    let class = |class| code.code().starts_with(class);
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Some(ConnectionFault::ReadOnly)
    } else if *code == SqlState::IDLE_SESSION_TIMEOUT
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        || class("08")
    {
        Some(ConnectionFault::Closed)
    } else if class("57P0") {
        Some(ConnectionFault::Shutdown)
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

/// True if the server is down, stopping, starting, overloaded or a standby, or cancelled the statement at its time limit.
fn is_unavailable(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return is_disconnected(error);
    };
    UNAVAILABLE_CLASSES.iter().any(|class| code.code().starts_with(class)) || UNAVAILABLE.contains(code)
}

/// Conflicts of two transactions. `UNIQUE_VIOLATION` is one too: the conflicting row did not exist when this transaction looked,
/// and the retry finds it.
const CONFLICTS: [SqlState; 3] = [
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::UNIQUE_VIOLATION,
];

/// Connection exceptions, and insufficient resources such as too many connections or a full disk (PostgreSQL documentation,
/// appendix A).
const UNAVAILABLE_CLASSES: [&str; 2] = ["08", "53"];

const UNAVAILABLE: [SqlState; 7] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::QUERY_CANCELED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::READ_ONLY_SQL_TRANSACTION,
];
