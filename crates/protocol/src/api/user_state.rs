//! Sessions, devices, linked accounts, alerts and settings of a user. None of it is a secret.

use serde::{Deserialize, Serialize};

use super::page::PageRequest;
use crate::account::UserAccount;
use crate::id::SessionId;
use crate::security::{Alert, FactorMethod, SessionInfo};
use crate::time::Timestamp;

/// Live sessions of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionList {
    /// The sessions, oldest first.
    pub sessions: Vec<UserSession>,
}

/// Live session of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserSession {
    /// Id of the session.
    pub session_id: SessionId,
    /// Name that the device gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// User-Agent of the session's newest socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// IP address of the session's newest socket; empty if it is unknown.
    pub address: String,
    /// Start of the session.
    pub connected_at: Timestamp,
    /// Time of the last activity.
    pub last_active_at: Timestamp,
    /// End of the session without further activity.
    pub expires_at: Timestamp,
    /// Number of open sockets.
    pub sockets: u32,
}

impl From<SessionInfo> for UserSession {
    fn from(session: SessionInfo) -> Self {
        Self {
            session_id: session.session_id,
            device_name: session.device_name,
            user_agent: session.user_agent,
            address: session.address,
            connected_at: session.connected_at,
            last_active_at: session.last_active_at,
            expires_at: session.expiry.expires_at(),
            sockets: session.sockets,
        }
    }
}

/// Devices and networks from which a user signed in within 90 days, at most 100 of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceList {
    /// Devices, the one that was seen last first.
    pub devices: Vec<Device>,
    /// Networks, the one that was seen last first.
    pub networks: Vec<Network>,
}

/// Device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The device's own `deviceId`, else its User-Agent, else `unknown`.
    pub device: String,
    /// Time of the last sign-in.
    pub last_seen_at: Timestamp,
}

/// Network of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Address prefix: a /24 of IPv4, a /48 of IPv6.
    pub network: String,
    /// Time of the last sign-in.
    pub last_seen_at: Timestamp,
}

/// Linked accounts of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountList {
    /// The accounts, ordered by platform name.
    pub accounts: Vec<LinkedAccount>,
}

/// Linked account with the state of its syncs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LinkedAccount {
    /// The account, as its user sees it.
    #[serde(flatten)]
    pub account: UserAccount,
    /// True if its platform no longer accepts its tokens: the user has to link it again.
    pub needs_new_link: bool,
    /// True if its platform issued a refresh token.
    pub has_refresh_token: bool,
    /// Expiry of its access token, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    /// Time of the next sync.
    pub next_sync_at: Timestamp,
    /// Number of failed syncs in a row.
    pub failed_syncs: u32,
    /// End of the pause that its platform asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// Selection of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertQuery {
    /// Only alerts of this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// The page.
    #[serde(flatten)]
    pub page: PageRequest,
}

/// State of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Requires action, and is not acknowledged.
    Open,
    /// Acknowledged by the user.
    Acknowledged,
}

impl AlertState {
    /// All states.
    pub const ALL: [Self; 2] = [Self::Open, Self::Acknowledged];

    /// Names of all states.
    pub const NAMES: [&'static str; 2] = ["open", "acknowledged"];

    /// Name in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let [open, acknowledged] = Self::NAMES;
        match self {
            Self::Open => open,
            Self::Acknowledged => acknowledged,
        }
    }
}

/// Page of a user's alerts of the last 90 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertPage {
    /// The alerts, the newest first.
    pub alerts: Vec<StoredAlert>,
    /// Cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Alert of a user, and its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoredAlert {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Time of the acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
}

/// Security settings of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserSettings {
    /// Minutes without activity until a session ends, 1 to 1440.
    pub session_timeout: u32,
    /// Second factor, where one is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
}

/// Second factor of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// Method.
    pub method: FactorMethod,
    /// True if no code is accepted: the application has locked the factor, or 100 codes in a row were wrong.
    pub is_locked: bool,
    /// Time at which the lock ends; absent if only an unlock ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
    /// Number of wrong codes since the last right one.
    pub wrong_codes: u32,
    /// Time of the last wrong code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_wrong_code_at: Option<Timestamp>,
    /// Number of unused recovery codes.
    pub recovery_codes: u32,
}

/// Lock of a second factor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FactorLockRequest {
    /// Time at which the lock ends, at most 366 days ahead; without it, only an unlock ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
