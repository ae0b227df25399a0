//! Events that the scenarios publish.

mod stamp;

use clap::ValueEnum;
use serde_json::{Value, json};

pub(crate) use self::stamp::Stamp;

/// Kind of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// `account:status_changed`: no row in Postgres.
    Status,
    /// `notification:incoming`: batched by gateways.
    Notification,
    /// `security:alert`: durable.
    Alert,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 3] = [Self::Status, Self::Notification, Self::Alert];

    /// Code in stamps.
    pub(crate) fn code(self) -> char {
        match self {
            Self::Status => 's',
            Self::Notification => 'n',
            Self::Alert => 'a',
        }
    }

    /// Kind of a code.
    pub(crate) fn of_code(code: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Name of the event.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Status => "account:status_changed",
            Self::Notification => "notification:incoming",
            Self::Alert => "security:alert",
        }
    }

    /// Data of an event with this stamp, of about `bytes` bytes of JSON.
    pub(crate) fn data(self, stamp: Stamp, bytes: usize) -> Value {
        let padded = |length: usize| format!("{stamp}{}", "x".repeat(bytes.saturating_sub(length + OVERHEAD)));
        match self {
            Self::Status => {
                json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": padded(70) } })
            }
            Self::Notification => json!({
                "platform": "github",
                "type": "mention",
                "sender": "load",
                "content": padded(70),
            }),
            Self::Alert => json!({
                "severity": "low",
                "type": "suspicious_login",
                "message": padded(90),
                "requiresAction": false,
            }),
        }
    }
}

/// Bytes of a typical stamp.
const OVERHEAD: usize = 24;
