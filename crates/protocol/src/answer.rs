//! What a command is answered with: the payload of its response event.

use serde::{Deserialize, Serialize};

use crate::account::{AccountType, UserAccount};
use crate::code::{ErrorCode, TokenFault};
use crate::json::Json;
use crate::secret::Secret;
use crate::security::{Alert, Enrolment, SessionInfo, Settings};
use crate::time::Timestamp;

/// A success: `{"success": true, ...}` with the fields of the command's own answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// `account:authorize_response`
    Authorize(Authorize),
    /// `account:connect_response`
    Connect(Connect),
    /// `account:disconnect_response`
    Disconnect(Disconnect),
    /// `account:sync_complete`
    Sync(Sync),
    /// `account:list_response`
    List(List),
    /// `security:2fa_verified`
    Verified(Verified),
    /// `security:confirmation`
    Confirmation(Confirmation),
    /// `security:revoke_complete`
    RevokeAll(RevokeAll),
    /// `security:settings`
    Settings(SettingsNow),
    /// `security:update_settings_response`
    SettingsUpdated(SettingsNow),
    /// `security:session_extended`
    SessionExtended(SessionExtended),
    /// `security:sessions_response`
    Sessions(Sessions),
    /// `security:end_sessions_response`
    SessionsEnded(SessionsEnded),
    /// `security:ack_response`
    Acknowledged,
    /// `security:alerts_response`
    Alerts(Alerts),
    /// `auth:refreshed`
    Refreshed(Refreshed),
}

impl Answer {
    /// Whether the payload holds what its user alone may know.
    #[must_use]
    pub fn holds_secrets(&self) -> bool {
        match self {
            Self::Authorize(_) | Self::Confirmation(_) => true,
            Self::Verified(data) => data.recovery_codes.is_some(),
            Self::Settings(data) | Self::SettingsUpdated(data) => data.enrolment.is_some(),
            Self::Connect(_)
            | Self::Disconnect(_)
            | Self::Sync(_)
            | Self::List(_)
            | Self::RevokeAll(_)
            | Self::SessionExtended(_)
            | Self::Sessions(_)
            | Self::SessionsEnded(_)
            | Self::Acknowledged
            | Self::Alerts(_)
            | Self::Refreshed(_) => false,
        }
    }

    /// The payload, written, `success` in front.
    #[must_use]
    pub fn data(&self) -> Json {
        match self {
            Self::Authorize(data) => success(data),
            Self::Connect(data) => success(data),
            Self::Disconnect(data) => success(data),
            Self::Sync(data) => success(data),
            Self::List(data) => success(data),
            Self::Verified(data) => success(data),
            Self::Confirmation(data) => success(data),
            Self::RevokeAll(data) => success(data),
            Self::Settings(data) | Self::SettingsUpdated(data) => success(data),
            Self::SessionExtended(data) => success(data),
            Self::Sessions(data) => success(data),
            Self::SessionsEnded(data) => success(data),
            Self::Acknowledged => success(&Nothing {}),
            Self::Alerts(data) => success(data),
            Self::Refreshed(data) => success(data),
        }
    }
}

fn success<T: Serialize>(data: &T) -> Json {
    #[derive(Serialize)]
    struct Success<'a, T> {
        success: bool,
        #[serde(flatten)]
        data: &'a T,
    }
    Json::of(&Success { success: true, data })
}

/// An answer without fields of its own.
#[derive(Debug, Clone, Serialize)]
struct Nothing {}

/// `account:authorize_response`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    /// Where to send the user.
    pub authorization_url: Secret,
    /// What the platform will hand back; `account:connect` brings it.
    pub state: Secret,
    /// Seconds until the state is over.
    pub expires_in: u64,
}

/// `account:connect_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The account that is linked now.
    pub account: UserAccount,
}

/// `account:disconnect_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disconnect {
    /// The platform that was disconnected.
    pub account_type: AccountType,
}

/// `account:sync_complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// When the sync finished.
    pub last_synced: Timestamp,
    /// What it found.
    pub data: SyncData,
}

/// What a sync found; at most 32 KiB as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncData {
    /// The platform's profile, as far as it is of use.
    pub profile: serde_json::Value,
    /// How many notifications were new.
    pub notifications: u64,
    /// Whether the platform has more than one sync takes.
    pub more: bool,
}

/// `account:list_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// All linked accounts.
    pub accounts: Vec<UserAccount>,
}

/// `security:2fa_verified`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether the session's end has moved.
    pub session_extended: bool,
    /// The session's end.
    pub expires_at: Timestamp,
    /// Ten one-time codes, at enrolment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<Vec<Secret>>,
}

/// `security:confirmation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// One use, bound to user, session and action.
    pub confirmation_token: Secret,
    /// Seconds.
    pub expires_in: u64,
}

/// `security:revoke_complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeAll {
    /// How many accounts were linked.
    pub accounts_disconnected: u64,
}

/// `security:settings` and `security:update_settings_response`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SettingsNow {
    /// What they are now.
    pub settings: Settings,
    /// A second factor being set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
}

/// `security:session_extended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionExtended {
    /// The session's end.
    pub expires_at: Timestamp,
    /// Whether activity can move it further.
    pub can_extend: bool,
}

/// `security:sessions_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// The user's sessions.
    pub sessions: Vec<SessionInfo>,
}

/// `security:end_sessions_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsEnded {
    /// How many.
    pub sessions_ended: u64,
}

/// `security:alerts_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// Oldest first.
    pub alerts: Vec<Alert>,
}

/// `auth:refreshed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refreshed {
    /// The new token's end.
    pub expires_at: Timestamp,
}

/// A failure: `{"success": false, "error", "message", ...}`. It keeps the fields that the success would have had and that a
/// client reads without looking at `success` first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Why.
    pub error: ErrorCode,
    /// What is wrong with the token: with `unauthenticated`, where it was about a client's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TokenFault>,
    /// For a person; reveals no secret and no internal name.
    pub message: String,
    /// Seconds to wait, with `rate_limited` and `platform_rate_limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The last sync that succeeded, or null: `account:sync` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Option<Timestamp>>,
    /// Which platform: `account:disconnect` only, as the client named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// Always 0: `security:revoke_all` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_disconnected: Option<u64>,
}

impl Failure {
    /// A failure with its code's own sentence.
    #[must_use]
    pub fn of(error: ErrorCode) -> Self {
        Self::with_message(error, error.sentence())
    }

    /// The refusal of a token.
    #[must_use]
    pub fn of_token(reason: TokenFault) -> Self {
        Self {
            reason: Some(reason),
            ..Self::of(ErrorCode::Unauthenticated)
        }
    }

    /// A failure with a more precise sentence.
    #[must_use]
    pub fn with_message(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            error,
            reason: None,
            message: message.into(),
            retry_after: None,
            last_synced: None,
            account_type: None,
            accounts_disconnected: None,
        }
    }

    /// The payload, written, `success` in front.
    #[must_use]
    pub fn data(&self) -> Json {
        #[derive(Serialize)]
        struct Failed<'a> {
            success: bool,
            #[serde(flatten)]
            failure: &'a Failure,
        }
        Json::of(&Failed {
            success: false,
            failure: self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_says_that_there_was_none_yet() {
        let failure = Failure {
            last_synced: Some(None),
            ..Failure::of(ErrorCode::NotConnected)
        };
        assert_eq!(
            failure.data().as_str(),
            r#"{"success":false,"error":"not_connected","message":"This account is not connected.","lastSynced":null}"#
        );
    }

    #[test]
    fn an_answer_begins_with_success() {
        assert_eq!(Answer::Acknowledged.data().as_str(), r#"{"success":true}"#);
        let ended = Answer::SessionsEnded(SessionsEnded { sessions_ended: 2 });
        assert_eq!(ended.data().as_str(), r#"{"success":true,"sessionsEnded":2}"#);
    }
}
