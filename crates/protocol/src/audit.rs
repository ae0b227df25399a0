//! Actions that the audit log records.

use std::fmt;

/// Action of one row of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditAction {
    /// An account was linked.
    AccountLinked,
    /// The tokens of a linked account were replaced.
    AccountRenewed,
    /// A platform has granted a link, which is pending until its user confirms it.
    LinkPending,
    /// An account was not linked: its platform refused, or Postern did. The grant of the platform is revoked.
    LinkRefused,
    /// An account was unlinked.
    AccountUnlinked,
    /// A platform no longer accepts the tokens of a linked account.
    AccountDisconnected,
    /// All access was revoked.
    AccessRevoked,
    /// A session was ended for good.
    SessionEnded,
    /// A confirmation token was issued for a command that needs one.
    ConfirmationIssued,
    /// A user signed in with a device that was not known.
    DeviceSeen,
    /// An alert was raised: by the application's own server, or by a sign-in check.
    AlertRaised,
    /// The user has acknowledged an alert.
    AlertAcknowledged,
    /// A security setting was changed.
    SettingsChanged,
    /// The enrolment of a second factor began; it is not required yet.
    FactorSetupStarted,
    /// A second factor was turned on, or replaced the earlier one.
    FactorEnabled,
    /// The second factor was turned off.
    FactorDisabled,
    /// A second factor was verified: a code, or a recovery code.
    FactorVerified,
    /// An operator reset a user's count of wrong codes.
    FactorUnlocked,
    /// An operator removed a user's second factor.
    FactorReset,
    /// A command was refused without effect: another user's id, a limit, a missing confirmation or second factor.
    CommandRefused,
}

impl AuditAction {
    /// Name in rows of the audit log.
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
            Self::CommandRefused => "command_refused",
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
