//! Actions that the audit log records.

use std::fmt;

/// Defines the actions with their names.
macro_rules! actions {
    ($($(#[$doc:meta])+ $action:ident => $name:literal,)+) => {
        /// Action of an audit row.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditAction {
            $($(#[$doc])+ $action,)+
        }

        impl AuditAction {
            /// All actions.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$action),+];

            /// Names of all actions.
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// Name in the rows.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }
        }
    };
}

actions! {
    /// An account was linked.
    AccountLinked => "account_linked",
    /// The tokens of a linked account were replaced.
    AccountRenewed => "account_renewed",
    /// A platform granted a link, which waits for the user's confirmation.
    LinkPending => "link_pending",
    /// An account was not linked: its platform or Postern refused. What the platform issued is revoked.
    LinkRefused => "link_refused",
    /// An account was unlinked.
    AccountUnlinked => "account_unlinked",
    /// A platform no longer accepts the tokens of a linked account.
    AccountDisconnected => "account_disconnected",
    /// All access was revoked.
    AccessRevoked => "access_revoked",
    /// A session was ended.
    SessionEnded => "session_ended",
    /// A confirmation was issued, for a command that asks for one.
    ConfirmationIssued => "confirmation_issued",
    /// A user signed in with a device that was unknown.
    DeviceSeen => "device_seen",
    /// An alert was raised, by the application's own server or by a sign-in check.
    AlertRaised => "alert_raised",
    /// The user acknowledged an alert.
    AlertAcknowledged => "alert_acknowledged",
    /// A security setting was changed.
    SettingsChanged => "settings_changed",
    /// The setup of a second factor started; none is enabled yet.
    FactorSetupStarted => "factor_setup_started",
    /// A second factor was enabled, or replaced another.
    FactorEnabled => "factor_enabled",
    /// The second factor was disabled.
    FactorDisabled => "factor_disabled",
    /// A second factor was verified: a code, or a recovery code.
    FactorVerified => "factor_verified",
    /// The application locked a user's second factor.
    FactorLocked => "factor_locked",
    /// An operator reset a user's count of wrong codes, or the application ended a lock too.
    FactorUnlocked => "factor_unlocked",
    /// An operator removed a user's second factor.
    FactorReset => "factor_reset",
    /// An operator ran a command that reads, or whose changes have rows of their own.
    OperatorCommand => "operator_command",
    /// The application read a user's audit log.
    AuditRead => "audit_read",
    /// An operator had a revocation tried again.
    TaskRetried => "task_retried",
    /// An operator had a dead letter executed again.
    JobRetried => "job_retried",
    /// An operator removed a job of a lane, or a dead letter.
    JobDiscarded => "job_discarded",
    /// An operator had a webhook to the application sent again.
    WebhookRetried => "webhook_retried",
    /// An operator removed a webhook to the application.
    WebhookDiscarded => "webhook_discarded",
    /// A revocation that had failed too often was deleted at the end of its retention. The platform may still accept the tokens.
    RevocationDropped => "revocation_dropped",
    /// An operator had a user erased: the key of the personal data in the rows before was deleted.
    UserErased => "user_erased",
    /// A command was refused and changed nothing: for another user's id, a rate limit, or a missing confirmation or second
    /// factor.
    CommandRefused => "command_refused",
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
