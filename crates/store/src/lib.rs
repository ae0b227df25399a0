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
    Accounts, Credentials, Exchange, ExchangeStart, Link, LinkOutcome, RefusedLink, RevokeAll, RevokeAllOutcome,
    SealedTokens, Told, Unlink, UnlinkOutcome, Written,
};
pub use alerts::{Acknowledged, Alerts, SignIn};
pub use answers::{Actor, Answers, Earlier, Idempotency, Receipt};
pub use audit::{Act, Audit, AuditRow, BrokenRow, ChainHead, ChainTip, Flaw, VerifyError, verify_audit};
pub use deliveries::{Delivered, Deliveries, Delivery};
pub use devices::{Acquaintance, Arrival, Devices, Novelty};
pub use error::StoreError;
pub use inboxes::{InboxTurn, Inboxes};
pub use memory::MemoryStore;
pub use outbox::{Outbox, PublishError, Publisher, Relayed};
pub use parking::{ParkOutcome, ParkedId, ParkedLink, Parking};
pub use pauses::Pauses;
pub use postgres::{PgSettings, PgSettingsError, PgStore, RootsError, SetupError, migrate};
pub use queue::{Queue, Revocation, RevokeScope, Room, Task, TaskId, TokenColumn};
pub use refreshes::{LossWritten, LostLink, Refresh, RefreshStart, RefreshWritten, Refreshed, Refreshes};
pub use rotation::{Rotation, Unopened, rotate};
pub use sealings::{Resealed, SealedColumn, SealedText, Sealings};
pub use security::{
    Change, DEFAULT_SESSION_TIMEOUT, Decide, Decided, Decision, Deed, Effect, Factor, PendingFactor, RecoveryTry,
    Security, SecurityRecord, SentCode,
};
pub use sessions::{
    AnnounceError, AnnouncedEnd, CommittedEnds, EndAnnouncer, EndOfAll, OpenedSession, SessionEnding, SessionLife,
    SessionOpened, SessionOpening, Sessions, SessionsEnded, SessionsReceipt, WhichSessions,
};
pub use syncs::{FinishedSync, Pause, Paused, SyncWritten, Syncs, Taken, Taking, Turn};

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
    + Parking
    + Pauses
    + Queue
    + Refreshes
    + Security
    + Sessions
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
        + Parking
        + Pauses
        + Queue
        + Refreshes
        + Security
        + Sessions
        + Syncs
{
}
