//! Security: alerts, second factor, sessions and settings as clients see them.

use serde::{Deserialize, Serialize};

use crate::expiry::{Expiry, ExtensionLimit};
use crate::id::{AlertId, SessionId, UserId};
use crate::time::Timestamp;

/// Severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Informational.
    Low,
    /// Worth a review.
    Medium,
    /// Worth an immediate review.
    High,
    /// Needs immediate action.
    Critical,
}

impl Severity {
    /// All severities, ascending.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Name on the wire and in rows.
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

/// Type of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertType {
    /// A sign-in does not look like the user's.
    SuspiciousLogin,
    /// The user signed in with a first-seen device.
    NewDevice,
    /// A platform refused to refresh the tokens of an account.
    TokenExpired,
    /// A second factor was wrong.
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
    /// The outcome of a token refresh at a platform is unknown.
    RefreshFailed,
}

impl AlertType {
    /// All types.
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

    /// Name on the wire and in rows.
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

/// `security:alert`: something happened that concerns the security of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// User that is alerted.
    pub user_id: UserId,
    /// Id to acknowledge the alert by.
    pub alert_id: AlertId,
    /// Severity of the alert.
    pub severity: Severity,
    /// Type of the alert.
    #[serde(rename = "type")]
    pub kind: AlertType,
    /// Message for a person.
    pub message: String,
    /// Time of the alert.
    pub timestamp: Timestamp,
    /// True if the alert is repeated until it is acknowledged.
    pub requires_action: bool,
}

/// Method of a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FactorMethod {
    /// Time-based code of an authenticator (RFC 6238).
    Totp,
    /// Code sent by SMS.
    Sms,
    /// Code sent by email.
    Email,
}

impl FactorMethod {
    /// All methods.
    pub const ALL: [Self; 3] = [Self::Totp, Self::Sms, Self::Email];

    /// Name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

/// `security:2fa_required`: a command waits for a second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TwoFactorRequired {
    /// User that must give the factor.
    pub user_id: UserId,
    /// Id of the challenge to answer.
    pub session_id: String,
    /// Seconds until the challenge expires.
    pub expires_in: u64,
    /// Method of the factor.
    pub method: FactorMethod,
}

/// `security:session_warning`: the session ends soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionWarning {
    /// User of the session.
    pub user_id: UserId,
    /// Seconds until logout.
    pub expires_in: u64,
    /// True if activity extends the session; false when the token expires first.
    pub can_extend: bool,
    /// Reason for which activity does not; none if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ExtensionLimit>,
    /// End of the session and of the socket's token.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Time of the warning, by the same clock as the ends.
    pub server_time: Timestamp,
}

/// Reason of a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The session timeout has passed without activity.
    Idle,
    /// The token's `exp` has passed.
    TokenExpired,
    /// A user or the application ended the session.
    Ended,
}

/// `security:session_expired`: the session has ended; the socket is closed next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionExpired {
    /// User of the session.
    pub user_id: UserId,
    /// Time of the end.
    pub timestamp: Timestamp,
    /// Reason of the end.
    pub reason: SessionEnd,
}

/// Security settings of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Minutes without activity until a session ends, 1 to 1440.
    #[cfg_attr(feature = "schema", schemars(range(min = MIN_SESSION_TIMEOUT, max = MAX_SESSION_TIMEOUT)))]
    pub session_timeout: u32,
    /// True if sensitive commands need a second factor.
    pub two_factor_enabled: bool,
    /// Method of the factor, where one is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FactorMethod>,
}

/// `security:settings_updated`: the security settings changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SettingsUpdated {
    /// User of the settings.
    pub user_id: UserId,
    /// New settings.
    pub settings: Settings,
}

/// Settings change of `security:update_settings`. Absent settings stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SettingsChange {
    /// Minutes without activity until a session ends, 1 to 1440.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = MIN_SESSION_TIMEOUT, max = MAX_SESSION_TIMEOUT)))]
    pub session_timeout: Option<u32>,
    /// True begins an enrolment; false turns the factor off, and needs a verified code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub two_factor_enabled: Option<bool>,
    /// New method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FactorMethod>,
    /// Telephone number or email address that codes are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_ADDRESS)))]
    pub address: Option<String>,
}

/// Enrolment of a second factor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// Id of the challenge that the first code answers.
    pub session_id: String,
    /// Method of the new factor.
    pub method: FactorMethod,
    /// Seconds until the enrolment expires.
    pub expires_in: u64,
    /// Shared secret, base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<crate::secret::Secret>,
    /// Shared secret as an `otpauth://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otpauth_url: Option<crate::secret::Secret>,
    /// Shared secret as a QR code: PNG, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr_png: Option<crate::secret::Secret>,
}

/// Session of a user, as `security:sessions` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// Id of the session.
    pub session_id: SessionId,
    /// True for the session of the caller.
    pub current: bool,
    /// Name that the device gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// User-Agent of the session's newest socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// IP address of the session's newest socket.
    pub address: String,
    /// Start of the session.
    pub connected_at: Timestamp,
    /// Time of the last activity.
    pub last_active_at: Timestamp,
    /// End of the session; that of the token is known for the session of the caller alone.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Number of the session's sockets.
    pub sockets: u32,
}

/// Shortest session timeout, in minutes.
pub const MIN_SESSION_TIMEOUT: u32 = 1;
/// Longest session timeout, in minutes.
pub const MAX_SESSION_TIMEOUT: u32 = 1_440;
/// Longest address that codes are sent to, in bytes (RFC 5321 section 4.5.3.1.3).
pub(crate) const MAX_ADDRESS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_wire_use_the_same_names() {
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
