//! A client's command on its way to a worker, and the answer on its way back.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Failure};
use crate::code::ErrorCode;
use crate::command::Command;
use crate::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
use crate::json::Json;

/// A queue of jobs. Lanes are read one by one, so that a slow sync never delays a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Someone waits for it: 10 s.
    Interactive,
    /// A platform is asked at length: 30 s.
    Platform,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Platform];

    /// The name in keys and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Platform => "platform",
        }
    }

    /// How long a client waits for its answer.
    #[must_use]
    pub fn patience(self) -> std::time::Duration {
        match self {
            Self::Interactive => std::time::Duration::from_secs(10),
            Self::Platform => std::time::Duration::from_secs(30),
        }
    }
}

/// A command with who asks it. The payload holds codes and tokens in the clear: it is short-lived, and deleted when done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The form of this message, [`Job::VERSION`].
    pub v: u8,
    /// Its name; a job delivered twice is answered from the first run.
    pub id: JobId,
    /// Who asks, proven by token.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// On which socket.
    pub connection: ConnectionId,
    /// Which gateway waits for the answer.
    pub node: NodeId,
    /// The client's own name for this request, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What is asked.
    pub command: Command,
}

impl Job {
    /// The form written today.
    pub const VERSION: u8 = 1;
}

/// The answer to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The form of this message, [`Job::VERSION`].
    pub v: u8,
    /// Which job.
    pub job: JobId,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a job ended: the finished payload of the response event, and whether it is a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The failure's code; none for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// The payload, `success` in front.
    pub data: Json,
}

impl From<&Answer> for Outcome {
    fn from(answer: &Answer) -> Self {
        Self {
            error: None,
            data: answer.data(),
        }
    }
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        Self {
            error: Some(failure.error),
            data: failure.data(),
        }
    }
}
