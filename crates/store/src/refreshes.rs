//! Token refreshes. A refresh token is sent at most twice, whatever fails.
//!
//! Most platforms accept a refresh token once, and revoke the whole grant when they see it again. Therefore each attempt is
//! recorded before it is sent, and new tokens are stored before they are used.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;

use crate::StoreError;
use crate::answers::Receipt;
use crate::syncs::SyncLease;
use crate::tokens::{EncryptedTokens, Revocation};

/// Tokens of an account by generation: new tokens and a new link have a new generation. A writer with an older generation changes
/// nothing.
#[async_trait]
pub trait Refreshes: Send + Sync {
    /// Records that the refresh token is about to be sent, and makes the account due at once in case the lease is lost. Recording
    /// the same attempt again, after `Unknown`, counts once.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was recorded.
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError>;

    /// Undoes the record of an attempt that was not sent, or that the platform did not process.
    ///
    /// # Errors
    /// [`StoreError`]; the attempt then counts.
    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError>;

    /// Stores new tokens. The caller retries after `Unavailable` and `Unknown`, as nobody else has the tokens; the same tokens are
    /// stored once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_refresh(&self, refreshed: &RefreshedTokens) -> Result<RefreshOutcome, StoreError>;

    /// Records that a platform no longer accepts an account's tokens: status `error`, the events for its user, and an audit row.
    /// The call is idempotent, so the receipt's answer is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn mark_disconnected(
        &self,
        lost: &DisconnectedLink,
        receipt: &Receipt,
    ) -> Result<DisconnectOutcome, StoreError>;
}

/// Refresh token that is about to be sent.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Lease under which it is sent.
    pub lease: SyncLease,
    /// Generation of the token.
    pub generation: i64,
    /// Id of this attempt.
    pub attempt_id: i64,
}

/// Result of [`Refreshes::begin_refresh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshStart {
    /// Send it now, and once more if no answer arrives.
    Send,
    /// Send it now, for the last time.
    SendLast,
    /// The token was sent twice, or may have been, and no answer is known.
    Spent,
    /// The account has other tokens by now.
    TokensReplaced,
    /// The platform asked to wait; the remaining time.
    Paused(Duration),
    /// The account was unlinked, linked again or disconnected, or another worker has its lease.
    Superseded,
}

/// New tokens of an account.
#[derive(Debug, Clone)]
pub struct RefreshedTokens {
    /// Lease under which they were requested. It may be lost since: the generation decides.
    pub lease: SyncLease,
    /// Generation of the refresh token that was sent.
    pub generation: i64,
    /// The tokens.
    pub tokens: EncryptedTokens,
    /// Revocation to queue if the tokens cannot be stored, so that no grant remains without an owner.
    pub revocation: Revocation,
}

/// Result of [`Refreshes::finish_refresh`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The tokens are stored, under this generation.
    Stored(i64),
    /// The account was unlinked, disconnected or given other tokens in the meantime; these are queued for revocation.
    Superseded,
}

/// Link that its platform has ended.
#[derive(Debug, Clone)]
pub struct DisconnectedLink {
    /// Lease under which this was detected. It may be lost since: the generation decides.
    pub lease: SyncLease,
    /// Generation of the tokens that the platform no longer accepts.
    pub generation: i64,
    /// Error message for `account:list`.
    pub error_message: String,
    /// Events to publish with it: status `error`, and the alert.
    pub events: Vec<Envelope>,
}

/// Result of [`Refreshes::mark_disconnected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectOutcome {
    /// The account is marked as disconnected and the events are queued, now or before.
    Disconnected,
    /// The account has other tokens by now, which may work.
    TokensReplaced,
    /// The account is no longer linked.
    NotConnected,
}
