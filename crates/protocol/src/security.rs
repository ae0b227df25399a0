//! Security: alerts, second factor, sessions and settings as clients see them.

use serde::{Deserialize, Serialize};

use crate::id::{AlertId, SessionId, UserId};
use crate::time::Timestamp;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Low,
    /// Worth a look.
    Medium,
    /// Look now.
    High,
    /// Act now.
    Critical,
}

impl Severity {
    /// From good to know to act now.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertType {
    /// A sign-in that does not look like the user's.
    SuspiciousLogin,
    /// A device that the user has not been seen with.
    NewDevice,
    /// A platform refused to renew the access it had given.
    TokenExpired,
    /// A wrong second factor.
    #[serde(rename = "failed_2fa")]
    FailedTwoFactor,
    /// Every linked account was disconnected.
    RevokeAll,
    /// An account was linked.
    AccountLinked,
    /// Security settings were changed.
    SettingsChanged,
    /// A session was ended.
    SessionEnded,
    /// It is not known whether renewing access at a platform worked.
    RefreshFailed,
}

impl AlertType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SuspiciousLogin,
        Self::NewDevice,
        Self::TokenExpired,
        Self::FailedTwoFactor,
        Self::RevokeAll,
        Self::AccountLinked,
        Self::SettingsChanged,
        Self::SessionEnded,
        Self::RefreshFailed,
    ];

    /// The name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuspiciousLogin => "suspicious_login",
            Self::NewDevice => "new_device",
            Self::TokenExpired => "token_expired",
            Self::FailedTwoFactor => "failed_2fa",
            Self::RevokeAll => "revoke_all",
            Self::AccountLinked => "account_linked",
            Self::SettingsChanged => "settings_changed",
            Self::SessionEnded => "session_ended",
            Self::RefreshFailed => "refresh_failed",
        }
    }
}

/// `security:alert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Whose.
    pub user_id: UserId,
    /// The name to acknowledge it by.
    pub alert_id: AlertId,
    /// How bad.
    pub severity: Severity,
    /// About what.
    #[serde(rename = "type")]
    pub kind: AlertType,
    /// For a person.
    pub message: String,
    /// When.
    pub timestamp: Timestamp,
    /// Whether it comes again until acknowledged.
    pub requires_action: bool,
}

/// How a second factor is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorMethod {
    /// A time-based code of an authenticator (RFC 6238).
    Totp,
    /// A code sent by SMS.
    Sms,
    /// A code sent by email.
    Email,
}

impl FactorMethod {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Totp, Self::Sms, Self::Email];

    /// The name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

/// `security:2fa_required`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TwoFactorRequired {
    /// Who must give it.
    pub user_id: UserId,
    /// The challenge to answer.
    pub session_id: String,
    /// Seconds until the challenge is over.
    pub expires_in: u64,
    /// How it is given.
    pub method: FactorMethod,
}

/// `security:session_warning`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionWarning {
    /// Whose session.
    pub user_id: UserId,
    /// Seconds until logout.
    pub expires_in: u64,
    /// Whether activity moves the end; false when the token's own end is nearer.
    pub can_extend: bool,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// No activity for the session timeout.
    Idle,
    /// The token's `exp` has passed.
    TokenExpired,
    /// Someone ended it.
    Ended,
}

/// `security:session_expired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionExpired {
    /// Whose session.
    pub user_id: UserId,
    /// When it ended.
    pub timestamp: Timestamp,
    /// Why.
    pub reason: SessionEnd,
}

/// A user's security settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Minutes without activity until a session ends, 1 to 1440.
    pub session_timeout: u32,
    /// Whether sensitive commands ask for a second factor.
    pub two_factor_enabled: bool,
    /// How it is given, where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FactorMethod>,
}

/// `security:settings_updated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsUpdated {
    /// Whose.
    pub user_id: UserId,
    /// What they are now.
    pub settings: Settings,
}

/// What is asked of `security:update_settings`; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsChange {
    /// Minutes, 1 to 1440.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_timeout: Option<u32>,
    /// On (enrols) or off (needs a verified code).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub two_factor_enabled: Option<bool>,
    /// How it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FactorMethod>,
    /// The telephone number or email address that codes go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A second factor being set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// The challenge that the first code answers.
    pub session_id: String,
    /// How it will be given.
    pub method: FactorMethod,
    /// Seconds until the enrolment is over.
    pub expires_in: u64,
    /// The shared secret, base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<crate::secret::Secret>,
    /// The same as an `otpauth://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otpauth_url: Option<crate::secret::Secret>,
    /// The same as a QR code: PNG, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr_png: Option<crate::secret::Secret>,
}

/// One session of a user, as `security:sessions` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// Its id.
    pub session_id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the device calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// The User-Agent of its newest socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Where it connects from.
    pub address: String,
    /// When it began.
    pub connected_at: Timestamp,
    /// The last activity.
    pub last_active_at: Timestamp,
    /// When it ends without more activity.
    pub expires_at: Timestamp,
    /// How many sockets it has.
    pub sockets: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_things_as_the_wire_does() {
        for severity in Severity::ALL {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
        for kind in AlertType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for method in FactorMethod::ALL {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
    }
}
