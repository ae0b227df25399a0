//! Linked accounts: one row per user and platform, with encrypted tokens.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::code::ErrorCode;
use protocol::id::{SessionId, UserId};

use crate::StoreError;
use crate::answers::Receipt;
use crate::operator::AccountOverview;
use crate::pending_links::PendingLinkId;
use crate::tokens::{EncryptedTokens, Revocation};
use crate::vault::Ciphertext;

/// Linked accounts of users. Each method is one transaction that first locks the user's head row. It commits the given events in
/// the outbox, and an audit row wherever a link is created, removed or refused.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Linked accounts of a user, ordered by platform name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError>;

    /// Linked accounts of a user with the state of their syncs, ordered by platform name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn account_states(&self, user: &UserId) -> Result<Vec<AccountOverview>, StoreError>;

    /// Account with its tokens, generation and sync cursor.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn credentials(&self, user: &UserId, account: AccountType) -> Result<Option<Credentials>, StoreError>;

    /// Access epoch of a user. It is incremented when all access is revoked; an authorization that started under an older epoch
    /// cannot be completed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn access_epoch(&self, user: &UserId) -> Result<i64, StoreError>;

    /// Records that a code (and its state) is about to be exchanged, before the request is sent. Only the first caller may send
    /// it.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was recorded. [`StoreError::SessionEnded`] for its session.
    async fn begin_exchange(&self, exchange: &Exchange) -> Result<ExchangeStart, StoreError>;

    /// Links an account, or replaces the tokens of the same account; the old tokens move into a queued revocation limited to
    /// themselves. Given a pending link, consumes it in the same transaction; if that no longer exists, nothing changes.
    ///
    /// # Errors
    /// [`StoreError`]; after `TooLate` the new grant is queued for revocation, or the pending link remains.
    async fn link_account(&self, link: &Link, receipt: &Receipt) -> Result<LinkOutcome, StoreError>;

    /// Records a failed link: the answer, its event unless the account is linked and working, and a revocation of what the
    /// platform issued. For a session that has ended, records only the revocation.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn refuse_link(&self, refused: &RefusedLink, receipt: &Receipt) -> Result<WriteOutcome, StoreError>;

    /// Unlinks an account and moves its tokens, if any, into a queued revocation.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError>;

    /// Unlinks every account of a user, once per confirmation, and drops pending links. The tokens move into queued revocations
    /// and the access epoch is incremented, so that no authorization that started before can be completed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError>;
}

/// Linked account with its encrypted tokens.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Account as the user sees it.
    pub account: UserAccount,
    /// Tokens, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// Token generation: changes each time the account is linked or its tokens are replaced. A writer with an older generation
    /// loses.
    pub generation: i64,
    /// Sync cursor, in the format of the platform's module.
    pub cursor: Option<serde_json::Value>,
}

/// Authorization code exchange that is about to be sent.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// User that the account will belong to.
    pub user: UserId,
    /// Session that asked.
    pub session: SessionId,
    /// Platform.
    pub account: AccountType,
    /// SHA-256 of platform and code; unique for ever.
    pub code_hash: [u8; 32],
    /// SHA-256 of the state, if any; unique for ever.
    pub state_hash: Option<[u8; 32]>,
}

/// Result of [`Accounts::begin_exchange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeStart {
    /// The caller is the first: it sends the request, once.
    First,
    /// The request was sent before, or may have been.
    Spent,
    /// The platform asked the application to wait; the remaining time. The code remains unused.
    Paused(Duration),
}

/// Link to store.
#[derive(Debug, Clone)]
pub struct Link {
    /// Owner of the account.
    pub user: UserId,
    /// The account; `connected_at` applies to a new link only.
    pub account: UserAccount,
    /// Tokens, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// Access epoch under which the authorization started.
    pub access_epoch: i64,
    /// Pending link to consume.
    pub pending_link: Option<PendingLinkId>,
    /// Events to publish with the link.
    pub events: Vec<Envelope>,
    /// Revocation to queue if the link cannot be stored (another account is linked, the epoch has changed, the deadline has
    /// passed), where the platform issued anything.
    pub revocation: Option<Revocation>,
}

/// Result of [`Accounts::link_account`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The link is stored.
    Linked,
    /// Another account of the platform is linked; the new grant is queued for revocation.
    AlreadyConnected,
    /// All access was revoked in the meantime; the new grant is queued for revocation.
    EpochMoved,
    /// The session that asked has ended; the new grant is queued for revocation.
    SessionEnded,
    /// The pending link does not exist; nothing changed.
    NotPending,
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}

/// Link that failed at the platform.
#[derive(Debug, Clone)]
pub struct RefusedLink {
    /// User that asked.
    pub user: UserId,
    /// Platform.
    pub account: AccountType,
    /// Error code of the answer, for the audit log.
    pub error: ErrorCode,
    /// Event with status `error`.
    pub event: Envelope,
    /// Revocation of what the platform issued before the failure, if anything.
    pub revocation: Option<Revocation>,
}

/// Result of a transaction that has no result type of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The transaction is committed.
    Committed,
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}

/// Account to unlink.
#[derive(Debug, Clone)]
pub struct Unlink {
    /// Owner of the account.
    pub user: UserId,
    /// Platform.
    pub account: AccountType,
    /// Event to publish with it.
    pub event: Envelope,
}

/// Result of [`Accounts::unlink_account`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlinkOutcome {
    /// The account is unlinked, and its revocation queued if it had tokens.
    Unlinked,
    /// No such account was linked.
    NotConnected,
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}

/// Revocation of all access of a user.
pub struct RevokeAll<'a> {
    /// The user.
    pub user: UserId,
    /// SHA-256 of the confirmation; unique for ever.
    pub confirmation: [u8; 32],
    /// Builds events and receipt from the platforms that were linked. Called within the transaction, possibly several times.
    pub record: &'a (dyn Fn(&[AccountType]) -> RevokeAllRecord + Send + Sync),
}

/// Events and receipt of a revocation of all access.
#[derive(Debug, Clone)]
pub struct RevokeAllRecord {
    /// Events to publish with it.
    pub events: Vec<Envelope>,
    /// The receipt, with the answer.
    pub receipt: Receipt,
}

/// Result of [`Accounts::revoke_all`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeAllOutcome {
    /// Number of accounts that were unlinked.
    Revoked(usize),
    /// The confirmation was used before; nothing changed.
    Spent,
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}
