//! Linked accounts: one row per user and platform, tokens sealed.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::code::ErrorCode;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::answers::Receipt;
use crate::parking::PendingLinkId;
use crate::queue::{Revocation, RevokeScope};
use crate::vault::Ciphertext;

/// The beginning and the end of a link. Each method is one transaction that locks the user's head row first; the events it is given
/// are committed with it, to be published after, and so is a row of the audit log wherever a link comes, goes or is refused.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// All linked accounts of a user, by platform name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError>;

    /// An account with what is needed to act for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn credentials(&self, user: &UserId, account: AccountType) -> Result<Option<Credentials>, StoreError>;

    /// The user's access epoch: it moves when all access is revoked, and what was begun before cannot be finished after.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn access_epoch(&self, user: &UserId) -> Result<i64, StoreError>;

    /// Records, before anything is sent, that this code (and state) is about to be exchanged. Only the first caller may send.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was recorded. [`StoreError::SessionEnded`] for its session.
    async fn begin_exchange(&self, exchange: &Exchange) -> Result<ExchangeStart, StoreError>;

    /// Links an account, or replaces the tokens of the same one: the old ones move into a queued revocation, of themselves alone. A
    /// parked link is taken with it, or nothing is done.
    ///
    /// # Errors
    /// [`StoreError`]; after `TooLate` the new grant is queued for revocation, or stays parked.
    async fn link_account(&self, link: &Link, receipt: &Receipt) -> Result<LinkOutcome, StoreError>;

    /// Records that a link failed at the platform: the answer, its event unless the account is linked and working, and what is to
    /// be given back. Of a session that has ended, only the last.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn refuse_link(&self, refused: &RefusedLink, receipt: &Receipt) -> Result<WriteOutcome, StoreError>;

    /// Unlinks an account: its tokens, where it has any, leave the row and move into a queued revocation.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError>;

    /// Unlinks every account of a user, once per confirmation, and drops what is parked: the tokens move into queued revocations,
    /// and the access epoch moves, so that nothing begun before can be linked after.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError>;
}

/// An account with its sealed tokens.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// What the user sees.
    pub account: UserAccount,
    /// The tokens, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// Another one each time the account is linked or its tokens are replaced; a writer that read an older one loses.
    pub generation: i64,
    /// Where the last sync stopped; the platform module's own words.
    pub cursor: Option<serde_json::Value>,
}

/// What a platform issued, sealed under (user, platform, column).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedTokens {
    /// Sealed for [`TokenColumn::Access`](crate::TokenColumn::Access).
    pub access: Ciphertext,
    /// Sealed for [`TokenColumn::Refresh`](crate::TokenColumn::Refresh).
    pub refresh: Option<Ciphertext>,
    /// When the access token ends, where the platform says so.
    pub expires_at: Option<Timestamp>,
}

impl EncryptedTokens {
    /// What ends this link at its platform.
    #[must_use]
    pub fn revocation(self, account: AccountType, platform_user_id: String) -> Revocation {
        Revocation {
            account,
            platform_user_id,
            tokens: self,
            scope: RevokeScope::Grant,
        }
    }
}

/// An exchange about to be sent.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// For whom.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// Which platform.
    pub account: AccountType,
    /// SHA-256 over platform and code; unique for ever.
    pub code_hash: [u8; 32],
    /// SHA-256 of the state, where there is one; unique for ever.
    pub state_hash: Option<[u8; 32]>,
}

/// Whether an exchange may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeStart {
    /// Nobody sent it before: send it, once.
    First,
    /// It was sent before, or may have been.
    Spent,
    /// The platform asked the application to wait, and so long is left. The code is not spent.
    Paused(Duration),
}

/// A link to store.
#[derive(Debug, Clone)]
pub struct Link {
    /// For whom.
    pub user: UserId,
    /// The account; `connected_at` counts for a new link only.
    pub account: UserAccount,
    /// Its tokens, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// The access epoch that the command was begun under.
    pub access_epoch: i64,
    /// The parked link that it was until now.
    pub pending_link: Option<PendingLinkId>,
    /// Published with the link.
    pub events: Vec<Envelope>,
    /// Queued instead of the link when it cannot be stored (another account is linked, the epoch has moved, it is too late), where
    /// the platform issued anything.
    pub revocation: Option<Revocation>,
}

/// What became of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// Stored.
    Linked,
    /// Another account of the platform is linked; the new grant is queued for revocation.
    AlreadyConnected,
    /// All access was revoked meanwhile; the new grant is queued for revocation.
    EpochMoved,
    /// The session that asked has ended; the new grant is queued for revocation.
    SessionEnded,
    /// It was to be a parked link, and there is none; nothing was done.
    NotPending,
    /// This job, or its idempotency key, was answered before; nothing was done.
    Repeated(Ciphertext),
}

/// A link that failed at the platform.
#[derive(Debug, Clone)]
pub struct RefusedLink {
    /// For whom.
    pub user: UserId,
    /// Which platform.
    pub account: AccountType,
    /// What the client is told; for the audit log.
    pub why: ErrorCode,
    /// Status `error`.
    pub event: Envelope,
    /// Queued with it: what the platform issued before it failed, where it issued anything.
    pub revocation: Option<Revocation>,
}

/// What became of a transaction that has no outcome of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Committed.
    Committed,
    /// This job, or its idempotency key, was answered before; nothing was done.
    Repeated(Ciphertext),
}

/// An account to unlink.
#[derive(Debug, Clone)]
pub struct Unlink {
    /// Whose.
    pub user: UserId,
    /// Which platform.
    pub account: AccountType,
    /// Published with it.
    pub event: Envelope,
}

/// What became of an unlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlinkOutcome {
    /// Gone; its revocation is queued, where there is anything to give back.
    Unlinked,
    /// There was none.
    NotConnected,
    /// This job, or its idempotency key, was answered before; nothing was done.
    Repeated(Ciphertext),
}

/// All access of a user to be revoked.
pub struct RevokeAll<'a> {
    /// Whose.
    pub user: UserId,
    /// SHA-256 of the confirmation; unique for ever.
    pub confirmation: [u8; 32],
    /// Asked within the transaction, once it is known what is linked.
    pub record: &'a (dyn Fn(&[AccountType]) -> RevokeAllRecord + Send + Sync),
}

/// What is told of a revocation of all access.
#[derive(Debug, Clone)]
pub struct RevokeAllRecord {
    /// Published with it.
    pub events: Vec<Envelope>,
    /// The answer.
    pub receipt: Receipt,
}

/// What became of a revocation of all access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeAllOutcome {
    /// So many accounts were linked, and are no more.
    Revoked(usize),
    /// The confirmation was used before; nothing was done.
    Spent,
    /// This job, or its idempotency key, was answered before; nothing was done.
    Repeated(Ciphertext),
}
