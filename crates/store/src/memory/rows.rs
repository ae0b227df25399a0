//! Rows that the memory store keeps.

use std::time::SystemTime;

use protocol::app_webhook::AppWebhookType;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{EventId, JobId, UserId};
use protocol::json::Json;
use protocol::security::Alert;
use serde_json::Value;

use crate::alerts::SignIn;
use crate::answers::Idempotency;
use crate::audit::{AuditRow, ChainHead};
use crate::pending_links::PendingLink;
use crate::rules::{FIRST_SYNC, RESENT_WITHIN};
use crate::session_rules::KnownSession;
use crate::tokens::Revocation;
use crate::vault::Ciphertext;

/// Sync schedule, lease and refresh attempts of an account.
#[derive(Debug)]
pub(super) struct SyncRow {
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    pub(super) next_sync_at: SystemTime,
    pub(super) failures: u32,
    pub(super) paused_until: Option<SystemTime>,
    pub(super) disconnected_generation: Option<i64>,
    /// Generation of the refresh token that was sent, number of attempts, and id of the last one.
    pub(super) sent: Option<(i64, u32, Option<i64>)>,
}

impl SyncRow {
    /// Row of an account that was just linked. An existing pause remains.
    pub(super) fn of_linked(fence: i64, before: Option<&Self>, now: SystemTime) -> Self {
        Self {
            fence,
            leased_until: None,
            next_sync_at: now + FIRST_SYNC,
            failures: 0,
            paused_until: before.and_then(|before| before.paused_until),
            disconnected_generation: None,
            sent: None,
        }
    }

    pub(super) fn is_leased(&self, now: SystemTime) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }
}

/// Row of a pending link.
#[derive(Debug)]
pub(super) struct PendingLinkRow {
    pub(super) link: PendingLink,
    pub(super) expires_at: SystemTime,
}

/// Row of an alert.
#[derive(Debug)]
pub(super) struct AlertRow {
    pub(super) alert: Alert,
    pub(super) raised_at: SystemTime,
    pub(super) acknowledged_at: Option<SystemTime>,
    /// Session that the alert concerns.
    pub(super) subject: Option<SignIn>,
}

impl AlertRow {
    /// True if the alert requires action and is not acknowledged.
    pub(super) fn is_open(&self) -> bool {
        self.alert.requires_action && self.acknowledged_at.is_none()
    }

    /// True if this alert's subject is the session `by`, without a later sign-in, so that it may not acknowledge an alert that was
    /// raised at `raised_at`.
    pub(super) fn excludes(&self, by: &SignIn, raised_at: SystemTime) -> bool {
        let Some(subject) = self.subject.as_ref().filter(|subject| subject.session == by.session) else {
            return false;
        };
        let since = subject.at.into_iter().chain([raised_at.into()]).max();
        by.at <= since
    }
}

/// Row of a session.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    pub(super) known: KnownSession,
    pub(super) failures: u32,
    pub(super) origin: Origin,
    pub(super) end_unconfirmed: bool,
}

impl SessionRow {
    /// Row of a session that had none; its origin is unknown.
    pub(super) fn unknown(known: KnownSession) -> Self {
        Self {
            known,
            failures: 0,
            origin: Origin {
                address: String::new(),
                device_id: None,
                device_name: None,
                user_agent: None,
            },
            end_unconfirmed: false,
        }
    }
}

/// Row of an inbox.
#[derive(Debug)]
pub(super) struct InboxRow {
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    pub(super) cursor: Option<Value>,
    pub(super) next_at: SystemTime,
}

/// Audit chain of a user.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) rows: Vec<AuditRow>,
    /// Number of the last logged head.
    pub(super) logged: i64,
}

/// Row of a webhook to the application.
#[derive(Debug)]
pub(super) struct AppWebhookRow {
    pub(super) user: UserId,
    pub(super) event: EventId,
    pub(super) kind: AppWebhookType,
    pub(super) data: Json,
    pub(super) created_at: SystemTime,
    pub(super) due_at: SystemTime,
    pub(super) tries: u32,
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    /// Time at which the webhook was given up.
    pub(super) dead_at: Option<SystemTime>,
}

/// Row of a stored answer.
#[derive(Debug)]
pub(super) struct AnswerRow {
    pub(super) idempotency: Option<Idempotency>,
    pub(super) answer: Ciphertext,
    pub(super) expires_at: SystemTime,
}

/// Row of the outbox.
#[derive(Debug)]
pub(super) struct OutboxRow {
    pub(super) user: UserId,
    pub(super) event: Envelope,
    pub(super) created_at: SystemTime,
    pub(super) sent_at: Option<SystemTime>,
}

impl OutboxRow {
    /// True if the event was sent so recently that it is sent again after a loss of Redis.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        self.sent_at.is_some_and(|sent_at| now <= sent_at + RESENT_WITHIN)
    }
}

/// Row of the task queue.
#[derive(Debug)]
pub(super) struct TaskRow {
    pub(super) user: UserId,
    pub(super) revocation: Revocation,
    pub(super) tries: u32,
    pub(super) due_at: SystemTime,
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    /// Time at which the task was given up.
    pub(super) dead_at: Option<SystemTime>,
    /// Job of a provisional revocation.
    pub(super) job: Option<JobId>,
}

impl TaskRow {
    pub(super) fn new(user: &UserId, revocation: Revocation, due_at: SystemTime) -> Self {
        Self {
            user: user.clone(),
            revocation,
            tries: 0,
            due_at,
            fence: 0,
            leased_until: None,
            dead_at: None,
            job: None,
        }
    }
}

impl Chain {
    pub(super) fn head(&self) -> Option<ChainHead> {
        self.rows.last().map(AuditRow::head)
    }
}
