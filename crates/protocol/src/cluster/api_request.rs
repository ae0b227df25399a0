//! Request of the application's server, which a gateway received at its internal API.

use serde::{Deserialize, Serialize};

use crate::account::AccountType;
use crate::api::{AlertQuery, AuditQuery, FactorLockRequest};
use crate::command::Relay;
use crate::id::SessionId;

/// Request about the user of its job. The answer is the body of the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiRequest {
    /// List of the live sessions.
    Sessions,
    /// List of the devices and networks.
    Devices,
    /// List of the linked accounts.
    Accounts,
    /// Page of the alerts.
    Alerts(AlertQuery),
    /// Security settings.
    Settings,
    /// Page of the audit log.
    Audit(AuditQuery),
    /// End of one session.
    EndSession(SessionId),
    /// Unlink of an account.
    UnlinkAccount(AccountType),
    /// Revocation of all access, without a confirmation of the user.
    RevokeAll,
    /// Lock of the second factor.
    LockFactor(FactorLockRequest),
    /// End of a lock of the second factor, and of a lockout after wrong codes.
    UnlockFactor,
}

impl ApiRequest {
    /// Name in logs and metric labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sessions => SESSIONS,
            Self::Devices => DEVICES,
            Self::Accounts => ACCOUNTS,
            Self::Alerts(_) => ALERTS,
            Self::Settings => SETTINGS,
            Self::Audit(_) => AUDIT,
            Self::EndSession(_) => END_SESSION,
            Self::UnlinkAccount(_) => UNLINK_ACCOUNT,
            Self::RevokeAll => REVOKE_ALL,
            Self::LockFactor(_) => LOCK_FACTOR,
            Self::UnlockFactor => UNLOCK_FACTOR,
        }
    }

    /// All names.
    pub const NAMES: [&str; 11] = [
        SESSIONS,
        DEVICES,
        ACCOUNTS,
        ALERTS,
        SETTINGS,
        AUDIT,
        END_SESSION,
        UNLINK_ACCOUNT,
        REVOKE_ALL,
        LOCK_FACTOR,
        UNLOCK_FACTOR,
    ];

    /// True for a change, whose answer is stored with it. A read is executed again when it is repeated; so is a query of the audit log,
    /// though each is recorded.
    #[must_use]
    pub fn is_change(&self) -> bool {
        match self {
            Self::Sessions | Self::Devices | Self::Accounts | Self::Alerts(_) | Self::Settings | Self::Audit(_) => {
                false
            }
            Self::EndSession(_)
            | Self::UnlinkAccount(_)
            | Self::RevokeAll
            | Self::LockFactor(_)
            | Self::UnlockFactor => true,
        }
    }

    /// Relay of the events that the request writes for its user.
    #[must_use]
    pub fn relay(&self) -> Relay {
        match self {
            Self::Sessions | Self::Devices | Self::Accounts | Self::Alerts(_) | Self::Settings | Self::Audit(_) => {
                Relay::NotNeeded
            }
            Self::EndSession(_) => Relay::BeforeAnswer,
            Self::UnlinkAccount(_) | Self::RevokeAll | Self::LockFactor(_) | Self::UnlockFactor => Relay::WithAnswer,
        }
    }
}

const SESSIONS: &str = "api.sessions";
const DEVICES: &str = "api.devices";
const ACCOUNTS: &str = "api.accounts";
const ALERTS: &str = "api.alerts";
const SETTINGS: &str = "api.settings";
const AUDIT: &str = "api.audit";
const END_SESSION: &str = "api.end_session";
const UNLINK_ACCOUNT: &str = "api.unlink_account";
const REVOKE_ALL: &str = "api.revoke_all";
const LOCK_FACTOR: &str = "api.lock_factor";
const UNLOCK_FACTOR: &str = "api.unlock_factor";
