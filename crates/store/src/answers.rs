//! Answers of completed jobs, so that a job delivered twice is executed once.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, JobId, SessionId, UserId};
use protocol::trace::TraceParent;
use tokio::time::Instant;

use crate::StoreError;
use crate::vault::Ciphertext;

/// Committed answers. Each is written in the same transaction as the change that it reports ([`Receipt`]).
#[async_trait]
pub trait Answers: Send + Sync {
    /// Answer given before to a job of a user, or under an idempotency key. A session that has ended receives only the answer to
    /// this very job.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::SessionEnded`].
    async fn previous_answer(
        &self,
        (user, by): (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError>;
}

/// Record that a changing transaction writes about the command that asked for it.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Job id; unique. A second transaction of the same job rolls back and returns the first one's answer.
    pub job: JobId,
    /// Actor on whose behalf the transaction runs.
    pub actor: Actor,
    /// Socket, for the audit log.
    pub connection: ConnectionId,
    /// Origin of the socket, where known, for the audit log.
    pub origin: Option<Origin>,
    /// Trace context of the job, for the audit log.
    pub traceparent: TraceParent,
    /// Idempotency key of the client, where it gave one; unique too.
    pub idempotency: Option<Idempotency>,
    /// Encrypted answer.
    pub answer: Ciphertext,
    /// Retention of the answer: 1 h, or 5 minutes if it contains secrets.
    pub keep: Duration,
    /// Deadline, checked right before the commit. After it nothing is committed.
    pub deadline: Instant,
}

/// Actor on whose behalf something is done for a user. Every transaction that locks a user's head row has one, and does nothing
/// for a session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Session of the user.
    Session(SessionId),
    /// No session: the application's own server, a platform, an operator, or a worker on its own initiative. The audit log
    /// records this name as the session.
    System(SessionId),
}

impl Actor {
    /// The session, which must not have ended.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::System(_) => None,
        }
    }

    /// Name in the audit log.
    #[must_use]
    pub fn name(&self) -> &SessionId {
        match self {
            Self::Session(name) | Self::System(name) => name,
        }
    }
}

/// Idempotency key of a client within its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of user, session, event and key.
    pub scope: [u8; 32],
    /// SHA-256 of the payload: the same key with another payload is a conflict.
    pub body: [u8; 32],
}

/// Result of [`Answers::previous_answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviousAnswer {
    /// Neither the job nor the key was answered.
    Nothing,
    /// The answer.
    Answer(Ciphertext),
    /// The idempotency key was used with another payload.
    OtherBody,
}
