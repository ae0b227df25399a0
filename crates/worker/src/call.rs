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
use protocol::cluster::trace::Traceparent;
use protocol::command::{Command, CommandKind};
use protocol::event::{DeliveryClass, Event};
use protocol::id::{ConnectionId, EventId, JobId, SessionId, UserId};
use protocol::time::Timestamp;
use serde_json::json;
use store::vault::Vault;
use store::{Actor, Idempotency, SignIn};
use tokio::time::Instant;

pub(crate) use alert::NewAlert;
pub(crate) use digest::{digest, hex};
pub(crate) use lane_permit::LanePermit;
pub(crate) use receipt::{RecallError, unasked};
pub(crate) use refusal::{Refusal, whole_seconds};

/// Who asks, in which session and on which socket, and until when. What is asked is handed over beside it.
pub(crate) struct Call {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// In whose name: the session's, or that of somebody who needs none.
    pub(crate) actor: Actor,
    pub(crate) connection: ConnectionId,
    /// From where, where that is known.
    pub(crate) origin: Option<Origin>,
    pub(crate) traceparent: Traceparent,
    /// When the user last signed in, as far as the token says.
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) job: JobId,
    pub(crate) deadline: Instant,
    /// Which command it is, if it is one of a client.
    kind: Option<CommandKind>,
    /// As in [`Work::name`].
    pub(crate) name: &'static str,
    pub(crate) idempotency: Option<Idempotency>,
    vault: Arc<Vault>,
    account: Option<AccountType>,
    lane_permit: LanePermit,
}

impl Call {
    pub(crate) fn new(job: &Job, deadline: Instant, vault: Arc<Vault>, lane_permit: LanePermit) -> Self {
        Self {
            user: job.user.clone(),
            session: job.session.clone(),
            actor: actor(job),
            connection: job.connection.clone(),
            origin: job.origin.clone(),
            traceparent: job.traceparent.clone(),
            authenticated_at: job.authenticated_at,
            job: job.id.clone(),
            deadline,
            kind: match &job.work {
                Work::Command(command) => Some(command.kind()),
                Work::OpenSession(_)
                | Work::Joined(_)
                | Work::EndAllSessions
                | Work::Callback(_)
                | Work::ConfirmLink(_)
                | Work::RaiseAlert(_)
                | Work::Refusals(_)
                | Work::Webhook(_) => None,
            },
            name: job.work.name(),
            idempotency: idempotency::of(job),
            vault,
            account: match &job.work {
                Work::Command(Command::Disconnect(data) | Command::Sync(data)) => Some(data.account_type),
                _ => None,
            },
            lane_permit,
        }
    }

    /// Gives the lane's permit back, before a wait that something else bounds: another job of the lane runs meanwhile.
    pub(crate) fn leave_lane(&self) {
        self.lane_permit.release();
    }

    /// The caller's session, and when its user signed in.
    pub(crate) fn sign_in(&self) -> SignIn {
        SignIn {
            session: self.session.clone(),
            at: self.authenticated_at,
        }
    }

    /// Until when a platform may be waited for: what it did, or did not, must still be stored by the deadline.
    pub(crate) fn patience(&self) -> Instant {
        self.deadline.checked_sub(TO_STORE).unwrap_or(self.deadline)
    }

    /// How a refused job ends: what the client reads, and what its socket is told before.
    pub(crate) fn refused(&self, refusal: &dyn Refusal) -> JobOutcome {
        JobOutcome {
            leading_notice: refusal.notice().as_ref().map(LeadingNotice::from),
            ..JobOutcome::from(&self.failure(refusal))
        }
    }

    /// What the client reads.
    pub(crate) fn failure(&self, refusal: &dyn Refusal) -> Failure {
        self.complete(refusal.failure())
    }

    /// A failure with the fields that this command's answer always has.
    pub(crate) fn complete(&self, failure: Failure) -> Failure {
        match self.kind {
            Some(kind) => kind.failure(failure, &json!({"accountType": self.account})),
            None => failure,
        }
    }

    /// An event of this job for all sockets of its user. `step` tells it from the job's others: done again, the job publishes the
    /// same ids.
    pub(crate) fn envelope(&self, step: &str, event: &Event) -> Envelope {
        Envelope::of(self.event_id(step), event)
    }

    /// The answer to a command of this session that was given long after it was asked: all the session's sockets hear it.
    pub(crate) fn answer_to_session(&self, kind: CommandKind, outcome: &JobOutcome) -> Envelope {
        Envelope {
            v: Envelope::VERSION,
            id: self.event_id("answer"),
            audience: Audience::Session(self.session.clone()),
            class: DeliveryClass::State,
            event: kind.response_event().to_owned(),
            data: outcome.data.clone(),
        }
    }

    /// The name of an event of this job.
    pub(crate) fn event_id(&self, step: &str) -> EventId {
        event_id(&digest([
            b"job".as_slice(),
            self.job.as_str().as_bytes(),
            step.as_bytes(),
        ]))
    }
}

/// Who acts. A gateway asks for itself whether a session may be opened, and reports who came and what it refused, whatever became of the
/// session since.
fn actor(job: &Job) -> Actor {
    match &job.work {
        Work::Command(_) | Work::Callback(_) | Work::ConfirmLink(_) => Actor::Session(job.session.clone()),
        Work::OpenSession(_)
        | Work::Joined(_)
        | Work::EndAllSessions
        | Work::RaiseAlert(_)
        | Work::Refusals(_)
        | Work::Webhook(_) => Actor::System(job.session.clone()),
    }
}

/// The event id that follows from what the event is about.
#[expect(clippy::expect_used, reason = "64 hexadecimal digits are printable ASCII")]
pub(crate) fn event_id(about: &[u8; 32]) -> EventId {
    EventId::new(hex(about)).expect("a digest is an id")
}

const TO_STORE: Duration = Duration::from_secs(1);
