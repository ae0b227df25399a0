//! Durable state: linked accounts with encrypted tokens, pending links, security settings and second factors, alerts, devices,
//! answers, the outbox, webhooks to the application, the task queue, sync schedules, inbox cursors, opened and ended sessions, first uses of vault keys, and the audit log.
//!
//! Owns one trait per role, with one method per business transaction ([`Store`] is all of them); two implementations: `PgStore`
//! (deadpool-postgres, refinery migrations) and `MemoryStore`, the embedded default; and the [`vault`], which encrypts secrets
//! before they are stored. One contract suite runs against both stores.
//!
//! Must not know: Redis, sockets, platforms.

mod accounts;
mod alerts;
mod answers;
mod app_webhooks;
mod audit;
mod deliveries;
mod devices;
mod encrypted_columns;
mod error;
mod inboxes;
mod key_uses;
mod operator;
mod outbox;
mod pauses;
mod pending_links;
mod queue;
mod refreshes;
mod retention;
mod security;
mod sessions;
mod syncs;
mod tokens;
pub mod vault;

mod key_change;
mod key_rotation;

mod relay;
mod rules;
mod session_rules;

mod memory;
mod postgres;

mod metrics;
mod step;

pub use accounts::{
    Accounts, Credentials, Exchange, ExchangeStart, Link, LinkOutcome, RefusedLink, RevokeAll, RevokeAllOutcome,
    RevokeAllRecord, Unlink, UnlinkOutcome, WriteOutcome,
};
pub use alerts::{Acknowledged, AlertPageQuery, AlertRequest, Alerts, FoundAlert, FoundAlerts, RaisedAlert, SignIn};
pub use answers::{Actor, Answers, Idempotency, PreviousAnswer, Receipt};
pub use app_webhooks::{APP_WEBHOOK_TRIES, AppWebhook, AppWebhookBacklog, AppWebhookId, AppWebhooks, NextTry};
pub use audit::{
    ArchiveManifest, Audit, AuditAction, AuditCheckpoint, AuditEvent, AuditFilter, AuditFound, AuditRow, AuditRowFault,
    ChainHead, ChainTip, ERASED, InvalidAuditRow, ManifestFault, PersonalData, PersonalDataError, SegmentVerifier,
    VerifyError, checkpoint_before, verify_audit,
};
pub use deliveries::{Deliveries, Delivery, DeliveryOutcome};
pub use devices::{Devices, Recognition, SignInCheck, SignInFindings};
pub use encrypted_columns::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
pub use error::StoreError;
pub use inboxes::{InboxLease, Inboxes};
pub use key_change::{KeyChangeError, check_key_change};
pub use key_rotation::{KeyRotation, UndecryptableText, rotate_keys};
pub use key_uses::KeyUses;
pub use memory::MemoryStore;
pub use operator::{
    AccountOverview, AppWebhookChange, AppWebhookChangeOutcome, AppWebhookFilter, AppWebhookOverview, FactorOverview,
    InvalidOperator, MAX_LISTED, Operator, SecurityOverview, SeenOverview, SessionsOverview, TaskFilter, TaskOverview,
    TaskRetryOutcome, TaskState, UserErasure, UserOverview,
};
pub use outbox::{Outbox, OutboxBacklog, OutboxId, Publication, PublishError, Publisher, Relayed, SentEvent};
pub use pauses::Pauses;
pub use pending_links::{PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks};
pub use postgres::{
    AuditPage, AuditPartition, AuditPosition, AuditTimePosition, Grant, Migrated, PgSettings, PgSettingsError, PgStore,
    PgUrlChange, RestoreCheck, RestoredAccount, RestoredState, RootsError, SchemaUse, SetupError,
    close_audit_partition, drop_audit_partition, is_logged_outage, migrate, old_audit_partitions, read_restored_state,
    read_users_with_open_sessions,
};
pub use queue::{PlatformCapacity, Task, TaskId, TaskQueue};
pub use refreshes::{
    DisconnectOutcome, DisconnectedLink, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, Refreshes,
};
pub use retention::{
    PruneBatch, PruneOutcome, PrunePace, PruneRun, PruneStart, PrunedTable, Retention, RetentionTimes,
};
pub use security::{
    DEFAULT_SESSION_TIMEOUT, Factor, FactorLock, PendingFactor, RecoveryAttempt, Security, SecurityChange,
    SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, SecurityRule, SentCode, session_timeout,
};
pub use sessions::{
    AnnounceError, AnnouncedEnd, CommittedEnds, EndAllSessions, EndAnnouncer, EndSessionsOutcome, EndSessionsRequest,
    OpeningSignIn, SessionDeadline, SessionLife, SessionOpenOutcome, SessionOpenRequest, SessionRecord, SessionRecords,
    SessionSelector, SessionsReceipt,
};
pub use syncs::{FinishedSync, LeasedSync, Pause, PauseScope, SyncLease, SyncLeaseOutcome, SyncOutcome, Syncs};
pub use tokens::{EncryptedTokens, Revocation, RevokeScope, TokenColumn};

/// All roles of the store.
pub trait Store:
    Accounts
    + Alerts
    + Answers
    + AppWebhooks
    + Audit
    + Deliveries
    + Devices
    + Inboxes
    + KeyUses
    + Outbox
    + PendingLinks
    + Pauses
    + TaskQueue
    + Refreshes
    + Retention
    + Security
    + SessionRecords
    + Syncs
{
}

impl<T> Store for T where
    T: Accounts
        + Alerts
        + Answers
        + AppWebhooks
        + Audit
        + Deliveries
        + Devices
        + Inboxes
        + KeyUses
        + Outbox
        + PendingLinks
        + Pauses
        + TaskQueue
        + Refreshes
        + Retention
        + Security
        + SessionRecords
        + Syncs
{
}
