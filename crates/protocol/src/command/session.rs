//! Payloads and answers of commands on sessions.

use serde::{Deserialize, Serialize};

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::AccountType;
use crate::expiry::{Expiry, ExtensionLimit};
use crate::id::UserId;
use crate::secret::Secret;
use crate::security::SessionInfo;
use crate::time::Timestamp;

/// `security:end_sessions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndSessions {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// One session, or `others`.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub session_id: String,
}

impl Payload for EndSessions {
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        vec![BoundedText::new("sessionId", &self.session_id, MAX_WORD)]
    }
}

/// `auth:refresh`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The new token.
    pub token: Secret,
}

impl Payload for Refresh {
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        Vec::new()
    }
}

/// `security:session_extended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExtendSessionAnswer {
    /// End of the session and of the socket's token.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// True if activity can extend the session further.
    pub can_extend: bool,
    /// Reason for which it cannot; none if it can. Then the extension has moved `expiresAt` to the end of the token at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ExtensionLimit>,
    /// Time of the answer, by the same clock as the session's end.
    pub server_time: Timestamp,
}

impl ExtendSessionAnswer {
    /// Extension of a session to this end, at this time.
    #[must_use]
    pub fn new(expiry: Expiry, server_time: Timestamp) -> Self {
        Self {
            expiry,
            can_extend: expiry.limit().is_none(),
            reason: expiry.limit(),
            server_time,
        }
    }
}

/// `security:sessions_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionsAnswer {
    /// Sessions of the user.
    pub sessions: Vec<SessionInfo>,
    /// Time of the answer, by the same clock as the sessions' ends.
    pub server_time: Timestamp,
}

/// `security:end_sessions_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndSessionsAnswer {
    /// Number of ended sessions that were alive.
    pub sessions_ended: u64,
}

/// `auth:refreshed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefreshAnswer {
    /// End of the session and of the new token.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Time of the answer, by the same clock as the session's end.
    pub server_time: Timestamp,
}
