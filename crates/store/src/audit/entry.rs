//! What transactions write into the audit log.

use std::fmt;

use protocol::account::{AccountType, UserAccount};
use protocol::cluster::job::RefusedCommand;
use protocol::code::ErrorCode;
use protocol::id::{AlertId, SessionId};
use protocol::security::Alert;

use crate::accounts::{Link, RefusedLink};
use crate::devices::{Recognition, SignInFindings};
use crate::parking::PendingLink;
use crate::rules::Admission;
use crate::security::AuditEvent;

/// What was done, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditAction {
    /// An account was linked.
    AccountLinked,
    /// The tokens of a linked account were replaced.
    AccountRenewed,
    /// A platform has granted a link, which waits for its user to confirm it.
    LinkPending,
    /// An account was not linked: its platform refused, or we did. What the platform issued is given back.
    LinkRefused,
    /// An account was unlinked.
    AccountUnlinked,
    /// A platform no longer takes the tokens of a linked account.
    LinkDisconnected,
    /// All access was revoked.
    AccessRevoked,
    /// A session was ended, for ever.
    SessionEnded,
    /// A confirmation was issued, for a command that asks for one.
    ConfirmationIssued,
    /// A user came with a device that was not known.
    DeviceSeen,
    /// An alert was raised: by the application's own server, or because of how a user came.
    AlertRaised,
    /// The user has seen to an alert.
    AlertAcknowledged,
    /// A security setting was changed.
    SettingsChanged,
    /// A second factor was begun to be set up; nothing is on yet.
    FactorSetupStarted,
    /// A second factor was turned on, or replaced the one that was.
    FactorEnabled,
    /// The second factor was turned off.
    FactorDisabled,
    /// A second factor was given: a code, or a recovery code.
    FactorVerified,
    /// An operator made a user's wrong codes forgotten.
    FactorUnlocked,
    /// An operator removed a user's second factor.
    FactorReset,
    /// A command was refused and nothing was done: for another user's id, for coming too often, for want of a confirmation or a
    /// second factor.
    CommandRefused,
}

impl AuditAction {
    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountLinked => "account_linked",
            Self::AccountRenewed => "account_renewed",
            Self::LinkPending => "link_parked",
            Self::LinkRefused => "link_refused",
            Self::AccountUnlinked => "account_unlinked",
            Self::LinkDisconnected => "link_lost",
            Self::AccessRevoked => "access_revoked",
            Self::SessionEnded => "session_ended",
            Self::ConfirmationIssued => "confirmation_issued",
            Self::DeviceSeen => "device_seen",
            Self::AlertRaised => "alert_raised",
            Self::AlertAcknowledged => "alert_acknowledged",
            Self::SettingsChanged => "settings_changed",
            Self::FactorSetupStarted => "factor_begun",
            Self::FactorEnabled => "factor_on",
            Self::FactorDisabled => "factor_off",
            Self::FactorVerified => "factor_given",
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

/// What a transaction says of itself. Who asked is in its receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) action: AuditAction,
    pub(crate) subject: String,
    pub(crate) result: &'static str,
    pub(crate) count: u32,
}

impl Entry {
    /// A link that met this.
    pub(crate) fn of_link(link: &Link, met: Admission) -> Self {
        let account = &link.account;
        let subject = format!("{} {}", account.account_type, account.platform_user_id);
        match met {
            Admission::New => Self::done(AuditAction::AccountLinked, subject),
            Admission::Renewal => Self::done(AuditAction::AccountRenewed, subject),
            Admission::OtherAccount => Self::refused(AuditAction::LinkRefused, subject, ErrorCode::AlreadyConnected),
            Admission::EpochMoved => Self::refused(AuditAction::LinkRefused, subject, ErrorCode::Conflict),
        }
    }

    /// A link that was ready when nobody waited for it any more.
    pub(crate) fn of_late_link(link: &Link) -> Self {
        Self {
            action: AuditAction::LinkRefused,
            result: ErrorCode::Timeout.as_str(),
            ..Self::of_link(link, Admission::New)
        }
    }

    /// A link that was ready when the session that asked for it had ended.
    pub(crate) fn of_link_of_ended_session(account: &UserAccount) -> Self {
        let subject = format!("{} {}", account.account_type, account.platform_user_id);
        Self::refused(AuditAction::LinkRefused, subject, ErrorCode::Forbidden)
    }

    /// A link that waits to be confirmed.
    pub(crate) fn of_parked_link(pending_link: &PendingLink) -> Self {
        Self::done(AuditAction::LinkPending, about_parked(pending_link))
    }

    /// A link that was to be confirmed, or to wait for that, when all access was revoked.
    pub(crate) fn of_dropped_link(pending_link: &PendingLink) -> Self {
        Self::refused(
            AuditAction::LinkRefused,
            about_parked(pending_link),
            ErrorCode::Conflict,
        )
    }

    /// A link that nobody has confirmed in time.
    pub(crate) fn of_unconfirmed_link(pending_link: &PendingLink) -> Self {
        Self::refused(
            AuditAction::LinkRefused,
            about_parked(pending_link),
            ErrorCode::ConfirmationInvalid,
        )
    }

    /// A link that failed at the platform, which said nothing about whose account it was.
    pub(crate) fn of_refused_link(refused: &RefusedLink) -> Self {
        Self::refused(AuditAction::LinkRefused, refused.account.to_string(), refused.why)
    }

    /// An account that was unlinked.
    pub(crate) fn of_unlinked(account: AccountType, platform_user_id: &str) -> Self {
        Self::done(AuditAction::AccountUnlinked, format!("{account} {platform_user_id}"))
    }

    /// An account whose tokens its platform no longer takes.
    pub(crate) fn of_lost_link(account: AccountType, platform_user_id: &str) -> Self {
        let subject = format!("{account} {platform_user_id}");
        Self::refused(AuditAction::LinkDisconnected, subject, ErrorCode::OauthFailed)
    }

    /// All access that was revoked, after its accounts were unlinked one by one.
    pub(crate) fn of_revoked_access(accounts: usize) -> Self {
        Self::done(AuditAction::AccessRevoked, format!("{accounts} accounts"))
    }

    /// A session that was ended; who asked did so in another, or in this one.
    pub(crate) fn of_ended_session(session: &SessionId) -> Self {
        Self::done(AuditAction::SessionEnded, session.to_string())
    }

    /// A confirmation of this command.
    pub(crate) fn of_confirmation(command: &str) -> Self {
        Self::done(AuditAction::ConfirmationIssued, command.to_owned())
    }

    /// A device that was not known, on this network.
    pub(crate) fn of_new_device(findings: &SignInFindings, network: &str) -> Self {
        let subject = match (findings.device, findings.network) {
            (Recognition::First, _) => format!("the first, on {network}"),
            (_, Recognition::Known) => format!("new, on {network}"),
            _ => format!("new, on {network}, which is new"),
        };
        Self::done(AuditAction::DeviceSeen, subject)
    }

    /// An alert that no other row tells of.
    pub(crate) fn of_raised_alert(alert: &Alert) -> Self {
        Self::done(
            AuditAction::AlertRaised,
            format!("{} {}", alert.kind.as_str(), alert.alert_id),
        )
    }

    /// An alert of this type that its user has seen to.
    pub(crate) fn of_acknowledged(kind: &str, alert: &AlertId) -> Self {
        Self::done(AuditAction::AlertAcknowledged, format!("{kind} {alert}"))
    }

    /// A change of settings or second factor.
    pub(crate) fn of_deed(audit_event: &AuditEvent) -> Self {
        Self::done(audit_event.action, audit_event.subject.clone())
    }

    /// A command that was refused so many times.
    pub(crate) fn of_refused(refused: &RefusedCommand) -> Self {
        Self {
            count: refused.count,
            ..Self::refused(AuditAction::CommandRefused, refused.command.clone(), refused.error)
        }
    }

    fn done(action: AuditAction, subject: String) -> Self {
        Self {
            action,
            subject,
            result: "ok",
            count: 1,
        }
    }

    fn refused(action: AuditAction, subject: String, why: ErrorCode) -> Self {
        Self {
            result: why.as_str(),
            ..Self::done(action, subject)
        }
    }
}

fn about_parked(pending_link: &PendingLink) -> String {
    format!(
        "{} {}",
        pending_link.account.account_type, pending_link.account.platform_user_id
    )
}
