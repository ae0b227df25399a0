//! What must survive: linked accounts and their sealed tokens, links that wait to be confirmed, security settings and second
//! factors, alerts, devices, answers already given, events still to be published, work still to be done, when accounts are synced
//! next, up to where bots' inboxes were read, sessions that were opened and ended, and the audit log.
//!
//! Owns: one trait per role, one method per business transaction, [`Store`] being all of them; two implementations: `PgStore`
//! (deadpool-postgres, refinery migrations) and `MemoryStore`, the embedded default; and the [`vault`], which seals secrets
//! before they come near a row. One contract suite runs against both stores.
//!
//! Must not know: Redis, sockets, platforms.

mod accounts;
mod alerts;
mod answers;
mod audit;
mod deliveries;
mod devices;
mod error;
mod inboxes;
mod outbox;
mod parking;
mod pauses;
mod queue;
mod refreshes;
mod sealings;
mod security;
mod sessions;
mod syncs;
pub mod vault;

mod rotation;

mod rules;
mod session_rules;
mod turns;

mod memory;
mod postgres;

mod metrics;

pub use accounts::{
    Accounts, Credentials, EncryptedTokens, Exchange, ExchangeStart, Link, LinkOutcome, RefusedLink, RevokeAll,
    RevokeAllOutcome, RevokeAllRecord, Unlink, UnlinkOutcome, WriteOutcome,
};
pub use alerts::{Acknowledged, Alerts, SignIn};
pub use answers::{Actor, Answers, Idempotency, PreviousAnswer, Receipt};
pub use audit::{
    Audit, AuditAction, AuditRow, AuditRowFault, ChainHead, ChainTip, InvalidAuditRow, VerifyError, verify_audit,
};
pub use deliveries::{Deliveries, Delivery, DeliveryOutcome};
pub use devices::{Devices, Recognition, SignInCheck, SignInFindings};
pub use error::StoreError;
pub use inboxes::{InboxLease, Inboxes};
pub use memory::MemoryStore;
pub use outbox::{Outbox, PublishError, Publisher, Relayed};
pub use parking::{PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks};
pub use pauses::Pauses;
pub use postgres::{PgSettings, PgSettingsError, PgStore, RootsError, SetupError, migrate};
pub use queue::{PlatformCapacity, Revocation, RevokeScope, Task, TaskId, TaskQueue, TokenColumn};
pub use refreshes::{
    DisconnectOutcome, DisconnectedLink, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, Refreshes,
};
pub use rotation::{KeyRotation, UndecryptableText, rotate_keys};
pub use sealings::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
pub use security::{
    AuditEvent, DEFAULT_SESSION_TIMEOUT, Factor, PendingFactor, RecoveryAttempt, Security, SecurityChange,
    SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, SecurityRule, SentCode,
};
pub use sessions::{
    AnnounceError, AnnouncedEnd, CommittedEnds, EndAllSessions, EndAnnouncer, EndSessionsOutcome, EndSessionsRequest,
    SessionLife, SessionOpenOutcome, SessionOpenRequest, SessionRecord, SessionRecords, SessionSelector,
    SessionsReceipt,
};
pub use syncs::{FinishedSync, LeasedSync, Pause, Paused, SyncLease, SyncLeaseOutcome, SyncOutcome, Syncs};

/// All roles of the store.
pub trait Store:
    Accounts
    + Alerts
    + Answers
    + Audit
    + Deliveries
    + Devices
    + Inboxes
    + Outbox
    + PendingLinks
    + Pauses
    + TaskQueue
    + Refreshes
    + Security
    + SessionRecords
    + Syncs
{
}

impl<T> Store for T where
    T: Accounts
        + Alerts
        + Answers
        + Audit
        + Deliveries
        + Devices
        + Inboxes
        + Outbox
        + PendingLinks
        + Pauses
        + TaskQueue
        + Refreshes
        + Security
        + SessionRecords
        + Syncs
{
}
