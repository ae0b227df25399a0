//! Receipt of a command: its transaction stores the encrypted answer, so that the answer is repeated and the change is not.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::cluster::job::JobOutcome;
use protocol::cluster::version::is_newer;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::id::{ConnectionId, JobId, SessionId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::trace::TraceParent;
use serde::Serialize;
use store::vault::{Binding, Ciphertext, VaultError};
use store::{Actor, Operator, Receipt};
use tokio::time::Instant;

use super::Call;
use super::refusal::Refusal;

impl Call {
    /// Receipt to be written with the change that `outcome` reports.
    pub(crate) fn receipt(&self, outcome: &JobOutcome) -> Receipt {
        Receipt {
            answer: self.vault.encrypt(&self.answer_binding(), &written(outcome)),
            ..self.receipt_without_answer()
        }
    }

    /// Receipt of an idempotent change, whose answer the store does not keep.
    pub(crate) fn receipt_without_answer(&self) -> Receipt {
        Receipt {
            job: self.job.clone(),
            actor: self.actor.clone(),
            connection: self.connection.clone(),
            origin: self.origin.clone(),
            traceparent: self.traceparent,
            idempotency: self.idempotency.clone(),
            answer: Ciphertext::from_bytes(Vec::new()),
            keep: self.retention,
            deadline: self.deadline,
        }
    }

    /// Outcome stored in an earlier receipt of this job, or of its idempotency key.
    pub(crate) fn recall(&self, answer: &Ciphertext) -> Result<JobOutcome, RecallError> {
        read(&self.vault.decrypt(&self.answer_binding(), answer)?)
    }

    /// Encryption context of the answer: user and event, which all jobs of one idempotency key share.
    fn answer_binding(&self) -> Binding<'_> {
        Binding {
            user: &self.user,
            scope: "answer",
            column: self.name,
        }
    }
}

/// Stored answer, with a version of its own: a worker of the release before may have to repeat it.
fn written(outcome: &JobOutcome) -> Secret {
    #[derive(Serialize)]
    struct StoredAnswer<'a> {
        v: u8,
        #[serde(flatten)]
        outcome: &'a JobOutcome,
    }
    let answer = StoredAnswer {
        v: ANSWER_VERSION,
        outcome,
    };
    Secret::new(Json::of(&answer).into_text())
}

/// Reads a stored answer. One without a version is of the first, as releases before 0.2 wrote it.
fn read(text: &Secret) -> Result<JobOutcome, RecallError> {
    if is_newer(text.expose().as_bytes(), ANSWER_VERSION) {
        return Err(RecallError::Newer);
    }
    Ok(serde_json::from_str(text.expose())?)
}

/// Version of a stored answer.
const ANSWER_VERSION: u8 = 1;

/// Receipt of background work within this time: it has an audit row, no client and no answer.
#[expect(clippy::expect_used, reason = "a word is printable ASCII")]
pub(crate) fn background_receipt(entropy: &dyn Entropy, within: Duration) -> Receipt {
    let actor = Actor::System(SessionId::new(BACKGROUND).expect("a word is an id"));
    receipt_without_client(actor, BACKGROUND, entropy, within)
}

/// Receipt of an operator's command, for the audit log: it has neither session nor socket, and no job repeats it.
#[must_use]
pub fn operator_receipt(operator: &Operator, entropy: &dyn Entropy) -> Receipt {
    receipt_without_client(operator.actor(), OPERATOR, entropy, OPERATOR_TIMEOUT)
}

#[expect(clippy::expect_used, reason = "a word and a token are printable ASCII")]
fn receipt_without_client(actor: Actor, connection: &'static str, entropy: &dyn Entropy, within: Duration) -> Receipt {
    Receipt {
        job: JobId::new(entropy.token()).expect("a token is an id"),
        actor,
        connection: ConnectionId::new(connection).expect("a word is an id"),
        origin: None,
        traceparent: TraceParent::begin(u128::from_be_bytes(entropy.bytes()), entropy.u64()),
        idempotency: None,
        answer: Ciphertext::from_bytes(Vec::new()),
        keep: Duration::ZERO,
        deadline: Instant::now() + within,
    }
}

/// Session and connection of background work in the audit log.
const BACKGROUND: &str = "worker";

/// Connection of an operator's command in the audit log.
const OPERATOR: &str = "operator";

/// Time limit of an operator's command.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(60);

/// Error of reading a stored answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecallError {
    #[error("decrypt the stored answer")]
    Decrypt(#[from] VaultError),
    #[error("parse the stored answer")]
    Unreadable(#[from] serde_json::Error),
    /// A worker of a newer release can repeat it.
    #[error("the stored answer is of a newer version")]
    Newer,
}

impl Fault for RecallError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Decrypt(_) | Self::Unreadable(_) => ErrorCode::Internal,
            Self::Newer => ErrorCode::Unavailable,
        }
    }
}

impl Refusal for RecallError {}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: [&str; 2] = [
        r#"{"v":1,"data":{"success":true,"accountType":"github"}}"#,
        r#"{"v":1,"error":"already_connected","leading_notice":{"event":"security:2fa_required","data":{"sessionId":"i"}},"secret":true,"data":{"success":false}}"#,
    ];

    #[test]
    fn answer_is_stored_and_read_in_the_checked_in_format() {
        for stored in ANSWERS {
            let outcome = read(&Secret::new(stored)).unwrap();
            assert_eq!(written(&outcome).expose(), stored);
            let unversioned = stored.replacen(r#""v":1,"#, "", 1);
            assert_eq!(read(&Secret::new(unversioned)).unwrap(), outcome);
        }
    }

    #[test]
    fn answer_of_a_newer_version_is_left_to_a_newer_worker() {
        let error = read(&Secret::new(r#"{"v":2,"answers":[]}"#)).unwrap_err();
        assert!(matches!(error, RecallError::Newer));
        assert_eq!(error.code(), ErrorCode::Unavailable);
    }
}
