//! A user as an operator sees it: without tokens, secrets and codes.

use protocol::account::UserAccount;
use protocol::id::{SessionId, UserId};
use protocol::security::{Alert, FactorMethod};
use protocol::time::Timestamp;
use serde::Serialize;

use super::TaskOverview;

/// State of a user in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserOverview {
    /// The user.
    pub user: UserId,
    /// Linked accounts.
    pub accounts: Vec<AccountOverview>,
    /// Number of links that wait for the user's confirmation.
    pub pending_links: i64,
    /// Sessions.
    pub sessions: SessionsOverview,
    /// Security settings and second factor.
    pub security: SecurityOverview,
    /// Open alerts that require acknowledgement, oldest first, at most [`MAX_LISTED`].
    pub open_alerts: Vec<Alert>,
    /// Devices and networks, those seen last first, at most [`MAX_LISTED`].
    pub seen: Vec<SeenOverview>,
    /// Tasks, at most [`MAX_LISTED`].
    pub tasks: Vec<TaskOverview>,
    /// Number of events that are not published yet.
    pub unsent_events: i64,
    /// Number of the last row of the user's audit chain.
    pub audit_rows: i64,
}

/// Bound of each list of a [`UserOverview`].
pub const MAX_LISTED: u32 = 100;

/// Linked account with the state of its syncs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountOverview {
    /// The account, as its user sees it.
    #[serde(flatten)]
    pub account: UserAccount,
    /// True if its platform no longer accepts its tokens.
    pub is_disconnected: bool,
    /// True if its platform issued a refresh token.
    pub has_refresh_token: bool,
    /// Expiry of its access token, where it has one.
    pub token_expires_at: Option<Timestamp>,
    /// Time of the next sync.
    pub next_sync_at: Timestamp,
    /// Number of failed syncs in a row.
    pub failures: i32,
    /// End of the pause that its platform asked for.
    pub paused_until: Option<Timestamp>,
}

/// Sessions of a user, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsOverview {
    /// Number of sessions whose stored deadline has not passed.
    pub live: i64,
    /// Number of ended sessions.
    pub ended: i64,
    /// Number of ends that Redis has not confirmed.
    pub unconfirmed_ends: i64,
    /// Time of the last end of all sessions: tokens issued until then open none.
    pub all_ended_at: Option<Timestamp>,
    /// Session that was exempt from it.
    pub all_ended_except: Option<SessionId>,
}

/// Security settings and second factor of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityOverview {
    /// Minutes without activity until a session ends.
    pub session_timeout: u32,
    /// Enabled second factor.
    pub factor: Option<FactorOverview>,
    /// Method of a second factor that waits for its first code.
    pub pending_factor: Option<FactorMethod>,
}

/// Enabled second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FactorOverview {
    /// Method.
    pub method: FactorMethod,
    /// Wrong codes since the last right one. From 100 on the factor is locked.
    pub failures: u32,
    /// Time of the last wrong code.
    pub last_failed_at: Option<Timestamp>,
    /// Number of unused recovery codes.
    pub recovery_codes: usize,
    /// Time at which the application locked it, if it has.
    pub locked_at: Option<Timestamp>,
    /// End of this lock, which may have passed; none if only an unlock ends it.
    pub locked_until: Option<Timestamp>,
}

/// Device or network of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenOverview {
    /// `device` or `network`.
    pub kind: String,
    /// Id of the device, or the network.
    pub name: String,
    /// Time at which it was seen last.
    pub seen_at: Timestamp,
}
