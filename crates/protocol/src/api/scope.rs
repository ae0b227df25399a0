//! Scopes of the internal API.

use serde::Deserialize;

/// Permission of a caller: the routes of one subject. A route is served to no caller without its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Publication of events.
    PublishEvents,
    /// List of the sockets of a user.
    ReadConnections,
    /// Stored state of a user: sessions, devices, accounts, alerts, settings.
    ReadUsers,
    /// End of sessions, one or all of a user.
    EndSessions,
    /// Unlinking of accounts, one or all of a user.
    ManageAccounts,
    /// Lock and unlock of the second factor of a user.
    ManageFactors,
    /// Audit log.
    ReadAudit,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::PublishEvents,
        Self::ReadConnections,
        Self::ReadUsers,
        Self::EndSessions,
        Self::ManageAccounts,
        Self::ManageFactors,
        Self::ReadAudit,
    ];

    /// Names of all scopes, for a message.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(|scope| format!("`{}`", scope.as_str())).join(", ")
    }

    /// Name in the tokens file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublishEvents => "publish_events",
            Self::ReadConnections => "read_connections",
            Self::ReadUsers => "read_users",
            Self::EndSessions => "end_sessions",
            Self::ManageAccounts => "manage_accounts",
            Self::ManageFactors => "manage_factors",
            Self::ReadAudit => "read_audit",
        }
    }
}
