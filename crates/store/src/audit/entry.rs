//! Audit entries that transactions write.

use protocol::account::{AccountType, UserAccount};
use protocol::audit::AuditAction;
use protocol::cluster::job::RefusedCommand;
use protocol::code::ErrorCode;
use protocol::id::{AlertId, EventId, SessionId, UserId};
use protocol::security::Alert;

use crate::accounts::{Link, RefusedLink};
use crate::devices::{Recognition, SignInFindings};
use crate::pending_links::PendingLink;
use crate::rules::Admission;

/// Change of settings or second factor, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Action.
    pub action: AuditAction,
    /// Subject of the action: a method, or a setting with its value.
    pub subject: String,
}

/// Content of an audit row. The receipt adds who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) action: AuditAction,
    pub(crate) subject: String,
    pub(crate) result: &'static str,
    pub(crate) count: u32,
}

impl Entry {
    /// Entry of a link with this admission.
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

    /// Entry of a link that was ready only after its deadline.
    pub(crate) fn of_late_link(link: &Link) -> Self {
        Self {
            action: AuditAction::LinkRefused,
            result: ErrorCode::Timeout.as_str(),
            ..Self::of_link(link, Admission::New)
        }
    }

    /// Entry of a link that was ready when the session that asked for it had ended.
    pub(crate) fn of_link_of_ended_session(account: &UserAccount) -> Self {
        let subject = format!("{} {}", account.account_type, account.platform_user_id);
        Self::refused(AuditAction::LinkRefused, subject, ErrorCode::Forbidden)
    }

    /// Entry of a link that waits for confirmation.
    pub(crate) fn of_pending_link(pending_link: &PendingLink) -> Self {
        Self::done(AuditAction::LinkPending, pending_subject(pending_link))
    }

    /// Entry of a link that was about to be confirmed, or to wait for confirmation, when all access was revoked.
    pub(crate) fn of_dropped_link(pending_link: &PendingLink) -> Self {
        Self::refused(
            AuditAction::LinkRefused,
            pending_subject(pending_link),
            ErrorCode::Conflict,
        )
    }

    /// Entry of a link that expired without confirmation.
    pub(crate) fn of_unconfirmed_link(pending_link: &PendingLink) -> Self {
        Self::refused(
            AuditAction::LinkRefused,
            pending_subject(pending_link),
            ErrorCode::ConfirmationInvalid,
        )
    }

    /// Entry of a link that failed at the platform, which did not name the account.
    pub(crate) fn of_refused_link(refused: &RefusedLink) -> Self {
        Self::refused(AuditAction::LinkRefused, refused.account.to_string(), refused.error)
    }

    /// Entry of an account that was unlinked.
    pub(crate) fn of_unlinked(account: AccountType, platform_user_id: &str) -> Self {
        Self::done(AuditAction::AccountUnlinked, format!("{account} {platform_user_id}"))
    }

    /// Entry of an account whose tokens its platform no longer accepts.
    pub(crate) fn of_disconnected_link(account: AccountType, platform_user_id: &str) -> Self {
        let subject = format!("{account} {platform_user_id}");
        Self::refused(AuditAction::AccountDisconnected, subject, ErrorCode::OauthFailed)
    }

    /// Entry of a revocation that failed too often and was deleted at the end of its retention.
    pub(crate) fn of_dropped_revocation(account: AccountType, platform_user_id: &str) -> Self {
        Self::done(AuditAction::RevocationDropped, format!("{account} {platform_user_id}"))
    }

    /// Entry of a revocation of all access, which follows one entry per unlinked account.
    pub(crate) fn of_revoked_access(accounts: usize) -> Self {
        Self::done(AuditAction::AccessRevoked, format!("{accounts} accounts"))
    }

    /// Entry of a session that was ended, from this or another session.
    pub(crate) fn of_ended_session(session: &SessionId) -> Self {
        Self::done(AuditAction::SessionEnded, session.to_string())
    }

    /// Entry of a confirmation of this command.
    pub(crate) fn of_confirmation(command: &str) -> Self {
        Self::done(AuditAction::ConfirmationIssued, command.to_owned())
    }

    /// Entry of a device that was unknown, on this network.
    pub(crate) fn of_new_device(findings: &SignInFindings, network: &str) -> Self {
        let subject = match (findings.device, findings.network) {
            (Recognition::First, _) => format!("the first, on {network}"),
            (_, Recognition::Known) => format!("new, on {network}"),
            _ => format!("new, on {network}, which is new"),
        };
        Self::done(AuditAction::DeviceSeen, subject)
    }

    /// Entry of an alert that no other row records.
    pub(crate) fn of_raised_alert(alert: &Alert) -> Self {
        Self::done(
            AuditAction::AlertRaised,
            format!("{} {}", alert.kind.as_str(), alert.alert_id),
        )
    }

    /// Entry of an acknowledged alert of this type.
    pub(crate) fn of_acknowledged(kind: &str, alert: &AlertId) -> Self {
        Self::done(AuditAction::AlertAcknowledged, format!("{kind} {alert}"))
    }

    /// Entry of a change of settings or second factor.
    pub(crate) fn of_event(audit_event: &AuditEvent) -> Self {
        Self::done(audit_event.action, audit_event.subject.clone())
    }

    /// Entry of an operator's command, such as `users show`.
    pub(crate) fn of_operator_command(command: &str) -> Self {
        Self::done(AuditAction::OperatorCommand, command.to_owned())
    }

    /// Entry of a read of the audit log with this filter.
    pub(crate) fn of_audit_read(filter: &str) -> Self {
        Self::done(AuditAction::AuditRead, filter.to_owned())
    }

    /// Entry of a revocation that an operator had tried again.
    pub(crate) fn of_retried_task(account: AccountType, platform_user_id: &str) -> Self {
        Self::done(AuditAction::TaskRetried, format!("{account} {platform_user_id}"))
    }

    /// Entry of a webhook to the application that an operator had sent again.
    pub(crate) fn of_retried_webhook(kind: &str, event: &EventId) -> Self {
        Self::done(AuditAction::WebhookRetried, format!("{kind} {event}"))
    }

    /// Entry of a webhook to the application that an operator removed.
    pub(crate) fn of_discarded_webhook(kind: &str, event: &EventId) -> Self {
        Self::done(AuditAction::WebhookDiscarded, format!("{kind} {event}"))
    }

    /// Entry of the erasure of the user, in the user's chain.
    pub(crate) fn of_erasure() -> Self {
        Self::done(AuditAction::UserErased, String::new())
    }

    /// Entry of the erasure of this user, in the chain of operators.
    pub(crate) fn of_erased_user(user: &UserId) -> Self {
        Self::done(AuditAction::UserErased, user.to_string())
    }

    /// Entry of a command that was refused this many times.
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

    fn refused(action: AuditAction, subject: String, error: ErrorCode) -> Self {
        Self {
            result: error.as_str(),
            ..Self::done(action, subject)
        }
    }
}

fn pending_subject(pending_link: &PendingLink) -> String {
    format!(
        "{} {}",
        pending_link.account.account_type, pending_link.account.platform_user_id
    )
}
