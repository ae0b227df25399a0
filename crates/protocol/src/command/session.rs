//! Payloads and answers of commands on sessions.

use serde::{Deserialize, Serialize};

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::AccountType;
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
    /// End of the session.
    pub expires_at: Timestamp,
    /// True if activity can extend the session further.
    pub can_extend: bool,
}

/// `security:sessions_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionsAnswer {
    /// Sessions of the user.
    pub sessions: Vec<SessionInfo>,
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
    /// End of the new token.
    pub expires_at: Timestamp,
}
