//! Answers as JSON: `success` in front of the fields.

use serde::{Deserialize, Serialize};

use crate::code::{ErrorCode, TokenFault};
use crate::json::Json;
use crate::time::Timestamp;

/// Writes a success.
pub(crate) fn success<T: Serialize>(data: &T) -> Json {
    #[derive(Serialize)]
    struct Success<'a, T> {
        success: bool,
        #[serde(flatten)]
        data: &'a T,
    }
    Json::of(&Success { success: true, data })
}

/// Failure: `{"success": false, "error", "message", ...}`. It keeps the fields of the success that a client reads without looking
/// at `success` first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Code of the failure.
    pub error: ErrorCode,
    /// Fault of the token, with `unauthenticated`, for a client's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TokenFault>,
    /// Message for a person, without secrets and internal names.
    pub message: String,
    /// Seconds to wait, with `rate_limited` and `platform_rate_limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Time of the last sync that succeeded, or null: `account:sync` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "Timestamp::or_null"))]
    pub last_synced: Option<Option<Timestamp>>,
    /// Platform as the client named it: `account:disconnect` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// Always 0: `security:revoke_all` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_disconnected: Option<u64>,
}

impl Failure {
    /// Failure with the message of its code.
    #[must_use]
    pub fn of(error: ErrorCode) -> Self {
        Self::with_message(error, error.sentence())
    }

    /// Refusal of a token.
    #[must_use]
    pub fn of_token(reason: TokenFault) -> Self {
        Self {
            reason: Some(reason),
            ..Self::of(ErrorCode::Unauthenticated)
        }
    }

    /// Failure with a more precise message.
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

    /// Payload as JSON, `success` in front.
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
    fn failed_sync_has_a_null_last_synced() {
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
    fn success_begins_with_the_field_success() {
        #[derive(Serialize)]
        struct Empty {}
        assert_eq!(success(&Empty {}).as_str(), r#"{"success":true}"#);
        assert_eq!(
            success(&serde_json::json!({"sessionsEnded": 2})).as_str(),
            r#"{"success":true,"sessionsEnded":2}"#
        );
    }
}
