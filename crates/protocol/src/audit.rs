//! Actions that the audit log records.

use std::fmt;

/// Action of an audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditAction {
    /// An account was linked.
    AccountLinked,
    /// The tokens of a linked account were replaced.
    AccountRenewed,
    /// A platform granted a link, which waits for the user's confirmation.
    LinkPending,
    /// An account was not linked: its platform or Postern refused. What the platform issued is revoked.
    LinkRefused,
    /// An account was unlinked.
    AccountUnlinked,
    /// A platform no longer accepts the tokens of a linked account.
    AccountDisconnected,
    /// All access was revoked.
    AccessRevoked,
    /// A session was ended for ever.
    SessionEnded,
    /// A confirmation was issued, for a command that asks for one.
    ConfirmationIssued,
    /// A user signed in with a device that was unknown.
    DeviceSeen,
    /// An alert was raised, by the application's own server or by a sign-in check.
    AlertRaised,
    /// The user acknowledged an alert.
    AlertAcknowledged,
    /// A security setting was changed.
    SettingsChanged,
    /// The setup of a second factor started; none is enabled yet.
    FactorSetupStarted,
    /// A second factor was enabled, or replaced another.
    FactorEnabled,
    /// The second factor was disabled.
    FactorDisabled,
    /// A second factor was verified: a code, or a recovery code.
    FactorVerified,
    /// An operator reset a user's count of wrong codes.
    FactorUnlocked,
    /// An operator removed a user's second factor.
    FactorReset,
    /// An operator ran a command that reads, or whose changes have rows of their own.
    OperatorCommand,
    /// An operator had a revocation tried again.
    TaskRetried,
    /// An operator had a dead letter executed again.
    JobRetried,
    /// An operator removed a job of a lane, or a dead letter.
    JobDiscarded,
    /// A command was refused and changed nothing: for another user's id, a rate limit, or a missing confirmation or second
    /// factor.
    CommandRefused,
}

impl AuditAction {
    /// Name in the rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountLinked => "account_linked",
            Self::AccountRenewed => "account_renewed",
            Self::LinkPending => "link_pending",
            Self::LinkRefused => "link_refused",
            Self::AccountUnlinked => "account_unlinked",
            Self::AccountDisconnected => "account_disconnected",
            Self::AccessRevoked => "access_revoked",
            Self::SessionEnded => "session_ended",
            Self::ConfirmationIssued => "confirmation_issued",
            Self::DeviceSeen => "device_seen",
            Self::AlertRaised => "alert_raised",
            Self::AlertAcknowledged => "alert_acknowledged",
            Self::SettingsChanged => "settings_changed",
            Self::FactorSetupStarted => "factor_setup_started",
            Self::FactorEnabled => "factor_enabled",
            Self::FactorDisabled => "factor_disabled",
            Self::FactorVerified => "factor_verified",
            Self::FactorUnlocked => "factor_unlocked",
            Self::FactorReset => "factor_reset",
            Self::OperatorCommand => "operator_command",
            Self::TaskRetried => "task_retried",
            Self::JobRetried => "job_retried",
            Self::JobDiscarded => "job_discarded",
            Self::CommandRefused => "command_refused",
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
