//! Payloads of `security:*` and `auth:*` commands.

use serde::{Deserialize, Serialize};

use super::payload::{BoundedText, MAX_WORD, Payload};
use crate::account::AccountType;
use crate::id::{AlertId, UserId};
use crate::secret::Secret;
use crate::security::SettingsChange;

/// `security:verify_2fa`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyTwoFactor {
    /// The caller.
    pub user_id: UserId,
    /// The challenge.
    pub session_id: String,
    /// The code, or a recovery code.
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
#[serde(rename_all = "camelCase")]
pub struct RequestConfirmation {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Event name of the command to confirm.
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
#[serde(rename_all = "camelCase")]
pub struct RevokeAll {
    /// The caller.
    pub user_id: UserId,
    /// Token of `security:request_confirmation`.
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

/// `security:end_sessions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndSessions {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// One session, or `others`.
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

/// `security:ack`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// `auth:refresh`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// Longest address that codes are sent to, in bytes (RFC 5321 section 4.5.3.1.3).
const MAX_ADDRESS: usize = 256;
