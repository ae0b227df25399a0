//! What a changing transaction keeps of its command: the sealed answer, so that it can be repeated and not the act.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::cluster::job::JobOutcome;
use protocol::cluster::trace::Traceparent;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::{ConnectionId, JobId, SessionId};
use protocol::json::Json;
use protocol::secret::Secret;
use store::vault::{Binding, Ciphertext, VaultError};
use store::{Actor, Receipt};
use tokio::time::Instant;

use super::Call;
use super::answer_retention::answer_retention;
use super::refusal::Refusal;

impl Call {
    /// To be written with the change that `outcome` tells of.
    pub(crate) fn receipt(&self, outcome: &JobOutcome) -> Receipt {
        let text = Secret::new(Json::of(outcome).as_str());
        Receipt {
            job: self.job.clone(),
            actor: self.actor.clone(),
            connection: self.connection.clone(),
            origin: self.origin.clone(),
            traceparent: self.traceparent.clone(),
            idempotency: self.idempotency.clone(),
            answer: self.vault.encrypt(&self.answer_binding(), &text),
            keep: answer_retention(self.name),
            deadline: self.deadline,
        }
    }

    /// The outcome that an earlier receipt of this job, or of its idempotency key, was written with.
    pub(crate) fn recall(&self, answer: &Ciphertext) -> Result<JobOutcome, RecallError> {
        let text = self.vault.decrypt(&self.answer_binding(), answer)?;
        Ok(serde_json::from_str(text.expose())?)
    }

    /// Another job may ask for it under the same idempotency key: user and event are what the two have in common.
    fn answer_binding(&self) -> Binding<'_> {
        Binding {
            user: &self.user,
            scope: "answer",
            column: self.name,
        }
    }
}

/// For the audit log, of what a worker does within this time for nobody in particular: nobody asked, and nobody asks for an answer.
#[expect(clippy::expect_used, reason = "a word and a token are printable ASCII")]
pub(crate) fn unasked(entropy: &dyn Entropy, within: Duration) -> Receipt {
    Receipt {
        job: JobId::new(entropy.token()).expect("a token is an id"),
        actor: Actor::System(SessionId::new(NOBODY).expect("a word is an id")),
        connection: ConnectionId::new(NOBODY).expect("a word is an id"),
        origin: None,
        traceparent: Traceparent::begin(u128::from_be_bytes(entropy.bytes()), entropy.u64()),
        idempotency: None,
        answer: Ciphertext::from_bytes(Vec::new()),
        keep: Duration::ZERO,
        deadline: Instant::now() + within,
    }
}

/// In the audit log, in the place of a session and of a socket.
const NOBODY: &str = "worker";

/// An answer that was kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecallError {
    #[error("open the kept answer")]
    Ciphertext(#[from] VaultError),
    #[error("read the kept answer")]
    Unreadable(#[from] serde_json::Error),
}

impl Fault for RecallError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

impl Refusal for RecallError {}
