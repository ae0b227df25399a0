//! Answers already given, so that a job delivered twice is done once.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::cluster::trace::Traceparent;
use protocol::id::{ConnectionId, JobId, SessionId, UserId};
use tokio::time::Instant;

use crate::StoreError;
use crate::vault::Ciphertext;

/// Committed answers. Each is written in the same transaction as the change it tells of ([`Receipt`]).
#[async_trait]
pub trait Answers: Send + Sync {
    /// What was answered before to this job of a user, or under this idempotency key. A session that has ended is told what this very
    /// job was answered, and nothing else.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::SessionEnded`].
    async fn previous_answer(
        &self,
        (user, by): (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError>;

    /// Deletes answers, exchanges, confirmations, alerts, devices, deliveries and sent events that are past their time; says how many rows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn prune(&self) -> Result<u64, StoreError>;
}

/// What a changing transaction writes about the command that asked for it.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The job; unique. A second transaction of the same job rolls back and reports the first one's answer.
    pub job: JobId,
    /// In whose name it is done.
    pub actor: Actor,
    /// On which socket; for the audit log.
    pub connection: ConnectionId,
    /// From where, where that is known; for the audit log.
    pub origin: Option<Origin>,
    /// What the job is a part of; for the audit log.
    pub traceparent: Traceparent,
    /// The client's own key, where it gave one; unique too.
    pub idempotency: Option<Idempotency>,
    /// The answer, sealed.
    pub answer: Ciphertext,
    /// How long it is kept: 1 h, with secrets in it 5 minutes.
    pub keep: Duration,
    /// Looked at once more right before the commit: past it, nothing is committed.
    pub deadline: Instant,
}

/// In whose name something is done for a user. Every transaction that locks a user's head row names one, and does nothing for a session
/// that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A session of the user.
    Session(SessionId),
    /// No session: the application's own server, a platform, an operator, or a worker of its own accord. The audit log has this name in
    /// the place of a session's.
    System(SessionId),
}

impl Actor {
    /// The session that must not have ended.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::System(_) => None,
        }
    }

    /// The name in the audit log.
    #[must_use]
    pub fn name(&self) -> &SessionId {
        match self {
            Self::Session(name) | Self::System(name) => name,
        }
    }
}

/// A client's idempotency key within its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 over user, session, event and key.
    pub scope: [u8; 32],
    /// SHA-256 over the payload: the same key with another body is a conflict.
    pub body: [u8; 32],
}

/// What was answered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviousAnswer {
    /// Nothing.
    Nothing,
    /// This.
    Answer(Ciphertext),
    /// The idempotency key was used with another body.
    OtherBody,
}
