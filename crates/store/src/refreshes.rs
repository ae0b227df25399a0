//! Refreshes: new tokens for a refresh token, which is sent at most twice whatever happens to whom.
//!
//! Most platforms take a refresh token once, and end the whole grant when they see it again. So each sending is recorded before it
//! is done, and new tokens are stored before they are used.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;

use crate::StoreError;
use crate::accounts::EncryptedTokens;
use crate::answers::Receipt;
use crate::queue::Revocation;
use crate::syncs::SyncLease;

/// The life of an account's tokens, by their generation: new tokens have another one, and so has an account that is linked anew.
/// Whoever read an older one changes nothing.
#[async_trait]
pub trait Refreshes: Send + Sync {
    /// Records that the refresh token is about to be sent. The account is due at once should its turn be lost now. Recording the same
    /// sending again, after `Unknown`, counts once.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was recorded.
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError>;

    /// Nothing was sent after all, or the platform did not look at it: it does not count.
    ///
    /// # Errors
    /// [`StoreError`]; then it counts.
    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError>;

    /// Stores new tokens. To be repeated after `Unavailable` and `Unknown`, as nobody else has them: the same tokens are stored once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_refresh(&self, refreshed: &RefreshedTokens) -> Result<RefreshOutcome, StoreError>;

    /// Records that a platform no longer takes an account's tokens: status `error`, what its user is told, and a row of the audit
    /// log. Of the receipt no answer is kept: to do it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn mark_disconnected(
        &self,
        lost: &DisconnectedLink,
        receipt: &Receipt,
    ) -> Result<DisconnectOutcome, StoreError>;
}

/// A refresh token about to be sent.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The turn that it is sent in.
    pub lease: SyncLease,
    /// The generation that the token is of.
    pub generation: i64,
    /// Tells this sending from others.
    pub sending: i64,
}

/// Whether a refresh token may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshStart {
    /// Once, now; and once more, if no answer comes.
    Send,
    /// Once, now, and never again.
    SendLast,
    /// It was sent twice, or may have been, and nobody has seen an answer.
    Spent,
    /// The account has other tokens by now.
    TokensReplaced,
    /// The platform asked to wait, and so long is left.
    Paused(Duration),
    /// The account was unlinked, linked anew or lost, or somebody else has its turn.
    Superseded,
}

/// New tokens.
#[derive(Debug, Clone)]
pub struct RefreshedTokens {
    /// The turn that they were asked for in. It may have been lost since: what counts is the generation.
    pub lease: SyncLease,
    /// The generation of the refresh token that brought them.
    pub generation: i64,
    /// The tokens.
    pub tokens: EncryptedTokens,
    /// Queued when they cannot be stored, so that no grant is left without an owner.
    pub revocation: Revocation,
}

/// What became of new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// Stored, under this generation.
    Stored(i64),
    /// The account was unlinked, lost or given other tokens meanwhile; these are queued for revocation.
    Superseded,
}

/// A link that its platform has ended.
#[derive(Debug, Clone)]
pub struct DisconnectedLink {
    /// The turn that it was found out in. It may have been lost since: what counts is the generation.
    pub lease: SyncLease,
    /// The generation of the tokens that the platform no longer takes.
    pub generation: i64,
    /// What `account:list` says of it.
    pub error_message: String,
    /// Published with it: status `error`, and the alert.
    pub events: Vec<Envelope>,
}

/// What became of the news of a lost link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectOutcome {
    /// Stored and told, now or before.
    Disconnected,
    /// The account has other tokens by now: those may work.
    TokensReplaced,
    /// The account is not linked any more.
    NotConnected,
}
