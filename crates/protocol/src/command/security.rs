//! Payloads and answers of `security:*` commands.

use serde::{Deserialize, Serialize};

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::AccountType;
use crate::expiry::{Expiry, ExtensionLimit};
use crate::id::{AlertId, UserId};
use crate::secret::Secret;
use crate::security::{Alert, Enrolment, MAX_ADDRESS, Settings, SettingsChange};
use crate::time::Timestamp;

/// `security:verify_2fa`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VerifyTwoFactor {
    /// The caller.
    pub user_id: UserId,
    /// The challenge.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub session_id: String,
    /// The code, or a recovery code.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub token: Secret,
}

impl Payload for VerifyTwoFactor {
    fn user(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        vec![
            BoundedText::new("sessionId", &self.session_id, MAX_WORD),
            BoundedText::new("token", self.token.expose(), MAX_WORD),
        ]
    }
}

/// `security:request_confirmation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestConfirmation {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Event name of the command to confirm.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::confirmed_commands"))]
    pub action: String,
}

impl Payload for RequestConfirmation {
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        vec![BoundedText::new("action", &self.action, MAX_WORD)]
    }
}

/// `security:revoke_all`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevokeAll {
    /// The caller.
    pub user_id: UserId,
    /// Token of `security:request_confirmation`.
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_WORD)))]
    pub confirmation_token: Secret,
}

impl Payload for RevokeAll {
    fn user(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        let token = self.confirmation_token.expose();
        vec![BoundedText::new("confirmationToken", token, MAX_WORD)]
    }
}

/// `security:update_settings`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateSettings {
    /// The caller.
    pub user_id: UserId,
    /// Settings to change.
    pub settings: SettingsChange,
}

impl Payload for UpdateSettings {
    fn user(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        let address = self.settings.address.as_deref().unwrap_or_default();
        vec![BoundedText::new("settings.address", address, MAX_ADDRESS)]
    }
}

/// `security:ack`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Acknowledge {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The alert.
    pub alert_id: AlertId,
}

impl Payload for Acknowledge {
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

/// `security:alerts`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Alert after which the page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AlertId>,
}

impl Payload for Alerts {
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

/// `security:2fa_verified`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VerifyTwoFactorAnswer {
    /// True if the session was extended for its whole timeout.
    pub session_extended: bool,
    /// End of the session and of the socket's token.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Reason for which the extension has not moved `expiresAt` that far; none if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ExtensionLimit>,
    /// Time of the answer, by the same clock as the session's end.
    pub server_time: Timestamp,
    /// Ten one-time codes, at enrolment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<Vec<Secret>>,
}

/// `security:confirmation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestConfirmationAnswer {
    /// Token for one use, bound to user, session and command.
    pub confirmation_token: Secret,
    /// Seconds until the token expires.
    pub expires_in: u64,
}

/// `security:revoke_complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevokeAllAnswer {
    /// Number of accounts that were linked.
    pub accounts_disconnected: u64,
}

/// `security:settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetSettingsAnswer {
    /// Current settings.
    pub settings: Settings,
}

/// `security:update_settings_response`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateSettingsAnswer {
    /// Settings after the change.
    pub settings: Settings,
    /// Enrolment that the change began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
}

/// `security:ack_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AcknowledgeAnswer {}

/// `security:alerts_response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertsAnswer {
    /// Page of alerts, oldest first.
    pub alerts: Vec<Alert>,
}
