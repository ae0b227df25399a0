//! One job, as its feature receives it: caller, session, socket, deadline, and the receipt and refusal that the feature answers with.
//!
//! Features depend on this module; it knows none of them, nor the engine.

mod alert;
mod answer_retention;
mod digest;
mod idempotency;
mod lane_permit;
mod receipt;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::{Job, JobOutcome, LeadingNotice, Work};
use protocol::cluster::origin::Origin;
use protocol::command::{Command, CommandKind};
use protocol::event::{DeliveryClass, Event};
use protocol::id::{ConnectionId, EventId, JobId, SessionId, UserId};
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use serde_json::json;
use store::vault::Vault;
use store::{Actor, Idempotency, SignIn};
use tokio::time::Instant;

pub(crate) use alert::NewAlert;
pub(crate) use digest::{digest, hex};
pub(crate) use lane_permit::LanePermit;
pub use receipt::operator_receipt;
pub(crate) use receipt::{RecallError, background_receipt};
pub(crate) use refusal::{Refusal, whole_seconds};

/// Context of one job: caller, session, socket and deadline. The payload is passed beside it.
pub(crate) struct Call {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// Actor of the audit log: the session, or the system where the job needs no live session.
    pub(crate) actor: Actor,
    pub(crate) connection: ConnectionId,
    /// Origin of the caller's socket, where known.
    pub(crate) origin: Option<Origin>,
    pub(crate) traceparent: TraceParent,
    /// Time of the user's last sign-in, where the token names it.
    pub(crate) authenticated_at: Option<Timestamp>,
    /// End of the token of the caller's socket; unknown for a job of the previous release.
    pub(crate) token_expires_at: Option<Timestamp>,
    pub(crate) job: JobId,
    pub(crate) deadline: Instant,
    /// Kind of the command, where a client sent the job.
    kind: Option<CommandKind>,
    /// Name of the job, as in [`Work::name`].
    pub(crate) name: &'static str,
    pub(crate) idempotency: Option<Idempotency>,
    vault: Arc<Vault>,
    account: Option<AccountType>,
    retention: Duration,
    lane_permit: LanePermit,
}

impl Call {
    pub(crate) fn new(job: &Job, deadline: Instant, vault: Arc<Vault>, lane_permit: LanePermit) -> Self {
        let command = command(job);
        Self {
            user: job.user.clone(),
            session: job.session.clone(),
            actor: actor(job),
            connection: job.connection.clone(),
            origin: job.origin.clone(),
            traceparent: job.traceparent,
            authenticated_at: job.authenticated_at,
            token_expires_at: job.token_expires_at,
            job: job.id.clone(),
            deadline,
            kind: command.map(Command::kind),
            name: job.work.name(),
            idempotency: idempotency::of(job),
            vault,
            account: command.and_then(Command::account_type),
            retention: answer_retention::answer_retention(&job.work),
            lane_permit,
        }
    }

    /// Releases the permit of the lane before a wait that another bound limits, so that another job of the lane runs meanwhile.
    pub(crate) fn release_lane(&self) {
        self.lane_permit.release();
    }

    /// Session of the caller, and time of its user's sign-in.
    pub(crate) fn sign_in(&self) -> SignIn {
        SignIn {
            session: self.session.clone(),
            at: self.authenticated_at,
        }
    }

    /// Deadline of platform calls: it leaves time to store their result before the deadline of the job.
    pub(crate) fn platform_deadline(&self) -> Instant {
        self.deadline.checked_sub(TO_STORE).unwrap_or(self.deadline)
    }

    /// Outcome of a refused job: the answer, and the notice that its socket receives before.
    pub(crate) fn refused(&self, refusal: &dyn Refusal) -> JobOutcome {
        JobOutcome {
            leading_notice: refusal.notice().as_ref().map(LeadingNotice::from),
            ..JobOutcome::from(&self.failure(refusal))
        }
    }

    /// Failure that the client reads.
    pub(crate) fn failure(&self, refusal: &dyn Refusal) -> Failure {
        self.complete(refusal.failure())
    }

    /// Completes a failure with the fields that every answer to this command has.
    pub(crate) fn complete(&self, failure: Failure) -> Failure {
        match self.kind {
            Some(kind) => kind.failure(failure, &json!({"accountType": self.account})),
            None => failure,
        }
    }

    /// Event of this job for all sockets of its user. `step` distinguishes the events of one job; a repeated job publishes the same
    /// ids.
    pub(crate) fn envelope(&self, step: &str, event: &Event) -> Envelope {
        Envelope::of(self.event_id(step), event)
    }

    /// Late answer to a command of this session, for all sockets of the session.
    pub(crate) fn answer_to_session(&self, kind: CommandKind, outcome: &JobOutcome) -> Envelope {
        Envelope {
            v: Envelope::VERSION,
            id: self.event_id("answer"),
            audience: Audience::Session(self.session.clone()),
            class: DeliveryClass::State,
            event: kind.response_event().to_owned(),
            data: outcome.data.clone(),
            traceparent: None,
            published_at: None,
        }
    }

    /// Id of an event of this job.
    pub(crate) fn event_id(&self, step: &str) -> EventId {
        event_id(&digest([
            b"job".as_slice(),
            self.job.as_str().as_bytes(),
            step.as_bytes(),
        ]))
    }
}

/// Command of a client, if the job is one.
fn command(job: &Job) -> Option<&Command> {
    match &job.work {
        Work::Command(command) => Some(command),
        Work::OpenSession(_)
        | Work::Joined(_)
        | Work::EndAllSessions
        | Work::Callback(_)
        | Work::ConfirmLink(_)
        | Work::RaiseAlert(_)
        | Work::Refusals(_)
        | Work::RestoreLog
        | Work::Webhook(_)
        | Work::ApiRequest(_) => None,
    }
}

/// Actor of a job. Jobs that a gateway sends on its own behalf (openings, joins, refusals, restores) or that of the application act as the system, so that
/// they run whether or not the session still lives.
fn actor(job: &Job) -> Actor {
    match &job.work {
        Work::Command(_) | Work::Callback(_) | Work::ConfirmLink(_) => Actor::Session(job.session.clone()),
        Work::OpenSession(_)
        | Work::Joined(_)
        | Work::EndAllSessions
        | Work::RaiseAlert(_)
        | Work::Refusals(_)
        | Work::RestoreLog
        | Work::Webhook(_)
        | Work::ApiRequest(_) => Actor::System(job.session.clone()),
    }
}

/// Event id derived from the subject of the event.
#[expect(clippy::expect_used, reason = "64 hexadecimal digits are printable ASCII")]
pub(crate) fn event_id(subject: &[u8; 32]) -> EventId {
    EventId::new(hex(subject)).expect("a digest is an id")
}

/// Time reserved to store the result of a platform call.
const TO_STORE: Duration = Duration::from_secs(1);
