//! Jobs of workers, and their replies.

use serde::{Deserialize, Serialize};

use super::api_request::ApiRequest;
use super::callback::{Callback, ConfirmLink};
use super::origin::Origin;
use super::webhook::Webhook;
use crate::answer::{Failure, success};
use crate::code::ErrorCode;
use crate::command::{Answer, Command, CommandKind};
use crate::event::Notice;
use crate::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
use crate::json::Json;
use crate::security::Alert;
use crate::time::Timestamp;
use crate::trace::TraceParent;

pub use crate::lane::Lane;

/// Request to a worker, in the name of a user; that of a [`Work::Webhook`] is a placeholder, for which nothing is done. The
/// payload holds codes and tokens in the clear: it is short-lived, and deleted when done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Version of this message, [`Work::version`].
    pub v: u8,
    /// Id of the job. A job that is delivered twice is answered from the first run.
    pub id: JobId,
    /// User of the verified token; a placeholder for webhooks.
    pub user: UserId,
    /// Session of the caller.
    pub session: SessionId,
    /// Socket of the caller.
    pub connection: ConnectionId,
    /// Gateway that waits for the reply.
    pub node: NodeId,
    /// Origin of the request, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Trace of the request.
    pub traceparent: TraceParent,
    /// Idempotency key of the client, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Time of the caller's last sign-in: the token's `auth_time`, else its `iat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<Timestamp>,
    /// End of the token of the caller's socket, if it has one and its gateway states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    /// Request itself.
    pub work: Work,
}

impl Job {
    /// Version of replies, and of jobs whose work the first release knows.
    pub const VERSION: u8 = 1;

    /// Newest version of a job that this release decodes.
    pub const LATEST_VERSION: u8 = 2;
}

/// Work of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Command of a client.
    Command(Command),
    /// Session check of a gateway: reports whether a socket may join its session.
    OpenSession(OpenSession),
    /// Sign-in check of a socket that has joined: returns open alerts, and raises alerts for a first-seen device or network.
    Joined(Joined),
    /// Alert that the application's server published. The answer is a [`RaisedAlert`].
    RaiseAlert(Alert),
    /// End of all sessions of the user, requested by the application's server.
    EndAllSessions,
    /// Authorization response of a browser. The answer is a [`super::callback::PendingLinkPage`].
    Callback(Callback),
    /// Confirmation of a pending link. The answer is that of `account:connect`.
    ConfirmLink(ConfirmLink),
    /// Commands of the user that a gateway refused, for the audit log.
    Refusals(Vec<RefusedCommand>),
    /// Restore of the user's event log: the recent events of the outbox are published again before anything newer. Refused with
    /// `unavailable` if not all of them are.
    RestoreLog,
    /// Webhook of a platform. The answer is a [`super::webhook::WebhookAnswer`].
    Webhook(Webhook),
    /// Request of the application's server at the internal API. Since version 2.
    ApiRequest(ApiRequest),
}

impl Work {
    /// Version of a job with this work. Workers that do not know the work leave the job to newer ones.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self {
            Self::ApiRequest(_) => 2,
            Self::Command(_)
            | Self::OpenSession(_)
            | Self::Joined(_)
            | Self::RaiseAlert(_)
            | Self::EndAllSessions
            | Self::Callback(_)
            | Self::ConfirmLink(_)
            | Self::Refusals(_)
            | Self::RestoreLog
            | Self::Webhook(_) => Job::VERSION,
        }
    }

    /// Name in logs and metric labels: the client's event, or the gateway's own request, `session.open`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Command(command) => command.kind().event(),
            Self::OpenSession(_) => OPEN_SESSION,
            Self::Joined(_) => JOINED,
            Self::RaiseAlert(_) => RAISE_ALERT,
            Self::EndAllSessions => END_ALL_SESSIONS,
            Self::Callback(_) => Callback::NAME,
            Self::ConfirmLink(_) => ConfirmLink::NAME,
            Self::Refusals(_) => REFUSALS,
            Self::RestoreLog => RESTORE_LOG,
            Self::Webhook(_) => Webhook::NAME,
            Self::ApiRequest(request) => request.name(),
        }
    }

    /// All names: the closed set of a metric's label.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let commands = CommandKind::ALL.into_iter().map(CommandKind::event);
        commands.chain(ApiRequest::NAMES).chain([
            OPEN_SESSION,
            JOINED,
            RAISE_ALERT,
            END_ALL_SESSIONS,
            Callback::NAME,
            ConfirmLink::NAME,
            REFUSALS,
            RESTORE_LOG,
            Webhook::NAME,
        ])
    }

    /// Kinds, by their names in the JSON of a job, that neither a client nor a platform causes: such a job holds no code and no token, so
    /// that its dead letter keeps it.
    pub const KEPT_KINDS: [&str; 5] = [
        "raise_alert",
        "end_all_sessions",
        "refusals",
        "restore_log",
        "api_request",
    ];

    /// [`Work::name`] of a kind by its name in the JSON of a job, unless it is a command or a request of the internal API.
    #[must_use]
    pub fn name_of_kind(kind: &str) -> Option<&'static str> {
        Some(match kind {
            "open_session" => OPEN_SESSION,
            "joined" => JOINED,
            "raise_alert" => RAISE_ALERT,
            "end_all_sessions" => END_ALL_SESSIONS,
            "callback" => Callback::NAME,
            "confirm_link" => ConfirmLink::NAME,
            "refusals" => REFUSALS,
            "restore_log" => RESTORE_LOG,
            "webhook" => Webhook::NAME,
            _ => return None,
        })
    }

    /// Queue of the job.
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
            | Self::Refusals(_)
            | Self::RestoreLog
            | Self::ApiRequest(_) => Lane::Interactive,
            Self::Webhook(_) => Lane::Webhook,
        }
    }

    /// True if a client or a browser of the user causes the job. A worker runs few of these at once for each user; jobs of the
    /// application, the cluster or a platform do not wait for them.
    #[must_use]
    pub fn is_caused_by_client(&self) -> bool {
        match self {
            Self::Command(_) | Self::OpenSession(_) | Self::Joined(_) | Self::Callback(_) | Self::ConfirmLink(_) => {
                true
            }
            Self::RaiseAlert(_)
            | Self::EndAllSessions
            | Self::Refusals(_)
            | Self::RestoreLog
            | Self::Webhook(_)
            | Self::ApiRequest(_) => false,
        }
    }
}

const OPEN_SESSION: &str = "session.open";
const JOINED: &str = "socket.joined";
const RAISE_ALERT: &str = "alerts.raise";
const END_ALL_SESSIONS: &str = "sessions.end";
const REFUSALS: &str = "audit.refusals";
const RESTORE_LOG: &str = "events.restore";

/// Check of a session that Redis does not have: it is new, or Redis has lost it, or it has ended. A success means that the
/// session is seeded; a failure, that it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Issue time of the token, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// Expiry of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Latest expiry of any token that gateways accepted until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_expiry: Option<Timestamp>,
    /// Announced end that the gateway found in Redis. The store knows whether it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
    /// Name of the check for open alerts that has started for the socket. Without it, the sign-in is checked after the join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_check: Option<String>,
    /// Origin of the socket.
    pub origin: Origin,
}

/// Socket that has joined, from the origin of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// True if the gateway does not know that its user was seen with this device and on this network.
    pub unseen: bool,
    /// True if open alerts were sent to the socket. Else they are sent first: the alerts of its sign-in are newer.
    #[serde(default)]
    pub alerts_sent: bool,
}

/// Command that was refused, once or several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCommand {
    /// Event of the command.
    pub command: String,
    /// Code of the refusal.
    pub error: ErrorCode,
    /// Number of refusals.
    pub count: u32,
}

/// Reply to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Version of this message, [`Job::VERSION`].
    pub v: u8,
    /// Id of the job.
    pub job: JobId,
    /// Outcome of the job.
    pub outcome: JobOutcome,
}

/// Outcome of a job: the payload of the response event, and the code of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOutcome {
    /// Code of the failure; none for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// Notice that the caller's socket receives before the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading_notice: Option<LeadingNotice>,
    /// True if the payload holds secrets of its user: it is delivered, and stored nowhere on the way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    /// The payload, `success` in front.
    pub data: Json,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Notice as JSON, sent before the answer on the same socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadingNotice {
    /// Name of the notice on the wire.
    pub event: String,
    /// Payload of the notice.
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

impl JobOutcome {
    /// Success without fields.
    #[must_use]
    pub fn done() -> Self {
        #[derive(Serialize)]
        struct NoFields {}
        Self::success(&NoFields {})
    }

    /// Success with these fields, none of which is a secret.
    #[must_use]
    pub fn success(fields: &impl Serialize) -> Self {
        Self {
            error: None,
            leading_notice: None,
            secret: false,
            data: success(fields),
        }
    }
}

/// Answer to [`Work::RaiseAlert`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedAlert {
    /// Alert that is stored under this id, for a job with an idempotency key whose alert may have been raised before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Alert>,
}

impl From<&Answer> for JobOutcome {
    fn from(answer: &Answer) -> Self {
        Self {
            error: None,
            leading_notice: None,
            secret: answer.has_secrets(),
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
