//! What a gateway asks of a worker on its way there, and the answer on its way back.

use serde::{Deserialize, Serialize};

use super::callback::{Callback, ConfirmLink};
use super::origin::Origin;
use super::trace::Traceparent;
use super::webhook::Webhook;
use crate::answer::{Answer, Failure};
use crate::code::ErrorCode;
use crate::command::Command;
use crate::event::Notice;
use crate::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
use crate::json::Json;
use crate::security::Alert;
use crate::time::Timestamp;

pub use crate::lane::Lane;

/// What is asked, with who asks it: a user, or for a [`Work::Webhook`] a name that stands for nobody, whom nothing is done for.
/// The payload holds codes and tokens in the clear: it is short-lived, and deleted when done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The form of this message, [`Job::VERSION`].
    pub v: u8,
    /// Its name; a job delivered twice is answered from the first run.
    pub id: JobId,
    /// Who asks, proven by token; a webhook's name where a platform does.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// On which socket.
    pub connection: ConnectionId,
    /// Which gateway waits for the answer.
    pub node: NodeId,
    /// From where it is asked, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What this is a part of.
    pub traceparent: Traceparent,
    /// The client's own name for this request, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// When the caller last signed in: the token's `auth_time`, else its `iat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<Timestamp>,
    /// What is asked.
    pub work: Work,
}

impl Job {
    /// The form written today.
    pub const VERSION: u8 = 1;
}

/// What a job asks of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// What a client asked.
    Command(Command),
    /// What a gateway asks for itself: may this socket join its session?
    OpenSession(OpenSession),
    /// A socket has just joined: which alerts of its user ask to be acknowledged? And is where it comes from news?
    Joined(Joined),
    /// To raise an alert that the application's own server published.
    RaiseAlert(Alert),
    /// To end all sessions of the user, as the application's own server asks.
    EndAllSessions,
    /// What a browser brought from a platform. The answer is a [`super::callback::Parked`].
    Callback(Callback),
    /// A user's yes to a link that was parked. The answer is that of `account:connect`.
    ConfirmLink(ConfirmLink),
    /// What a gateway has refused the job's user, for the audit log.
    Refusals(Vec<RefusedCommand>),
    /// What a platform has sent of its own accord. The answer is a [`super::webhook::WebhookAnswer`].
    Webhook(Webhook),
}

impl Work {
    /// The name in logs and metric labels: the client's event, or what the gateway itself asks, `session.open`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Command(command) => command.kind().event(),
            Self::OpenSession(_) => "session.open",
            Self::Joined(_) => "socket.joined",
            Self::RaiseAlert(_) => "alerts.raise",
            Self::EndAllSessions => "sessions.end",
            Self::Callback(_) => Callback::NAME,
            Self::ConfirmLink(_) => ConfirmLink::NAME,
            Self::Refusals(_) => "audit.refusals",
            Self::Webhook(_) => Webhook::NAME,
        }
    }

    /// Which queue it waits in.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Command(command) => command.kind().lane(),
            Self::OpenSession(_) => Lane::SignIn,
            Self::Joined(_)
            | Self::RaiseAlert(_)
            | Self::EndAllSessions
            | Self::Callback(_)
            | Self::ConfirmLink(_)
            | Self::Refusals(_) => Lane::Interactive,
            Self::Webhook(_) => Lane::Webhook,
        }
    }

    /// Whether a client or a browser of the job's user causes it. A worker has few of those in hand for each user; what the
    /// application, the cluster or a platform asks for is not held up by what the user's clients do.
    #[must_use]
    pub fn is_caused_by_client(&self) -> bool {
        match self {
            Self::Command(_) | Self::OpenSession(_) | Self::Joined(_) | Self::Callback(_) | Self::ConfirmLink(_) => {
                true
            }
            Self::RaiseAlert(_) | Self::EndAllSessions | Self::Refusals(_) | Self::Webhook(_) => false,
        }
    }
}

/// A socket whose session nobody knows just now: the session is new, or Redis has lost it, or it is over. A success means that it
/// is seeded; a failure, that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// When the token was issued, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The announced end that the gateway met in Redis: the store says whether it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
    /// Where the socket comes from.
    pub origin: Origin,
}

/// A socket that has joined, and comes from where the job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The gateway does not know whether its user was seen with this device and on this network.
    pub unseen: bool,
    /// The socket has been told which alerts are open. One that has not is told first: what its arrival raises is newer.
    #[serde(default)]
    pub alerts_sent: bool,
}

/// A command that was refused, once or several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCommand {
    /// The command's event.
    pub command: String,
    /// Why.
    pub error: ErrorCode,
    /// How often.
    pub count: u32,
}

/// The answer to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The form of this message, [`Job::VERSION`].
    pub v: u8,
    /// Which job.
    pub job: JobId,
    /// How it ended.
    pub outcome: JobOutcome,
}

/// How a job ended: the finished payload of the response event, and whether it is a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOutcome {
    /// The failure's code; none for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// What the caller's socket is told before the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading_notice: Option<LeadingNotice>,
    /// Whether the payload holds secrets of its user: on its way it is told and nowhere kept.
    #[serde(default, skip_serializing_if = "is_no")]
    pub secret: bool,
    /// The payload, `success` in front.
    pub data: Json,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_no(flag: &bool) -> bool {
    !flag
}

/// A notice, already written, that leaves before the answer on the same socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadingNotice {
    /// The notice's name on the wire.
    pub event: String,
    /// Its payload.
    pub data: Json,
}

impl From<&Notice> for LeadingNotice {
    fn from(notice: &Notice) -> Self {
        Self {
            event: notice.name().to_owned(),
            data: notice.data(),
        }
    }
}

impl From<&Answer> for JobOutcome {
    fn from(answer: &Answer) -> Self {
        Self {
            error: None,
            leading_notice: None,
            secret: answer.holds_secrets(),
            data: answer.data(),
        }
    }
}

impl From<&Failure> for JobOutcome {
    fn from(failure: &Failure) -> Self {
        Self {
            error: Some(failure.error),
            leading_notice: None,
            secret: false,
            data: failure.data(),
        }
    }
}
