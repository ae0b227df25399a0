//! Pending links: granted by a platform and waiting for the user's confirmation.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::UserAccount;
use protocol::id::{SessionId, UserId};

use crate::StoreError;
use crate::answers::Receipt;
use crate::tokens::{EncryptedTokens, Revocation};
use crate::vault::Ciphertext;

/// Pending links. Each ends in one of three ways: [`crate::Accounts::link_account`] consumes it, all access of its user is
/// revoked, or it expires. In the last two cases, and if the link is refused, its grant is queued for revocation.
#[async_trait]
pub trait PendingLinks: Send + Sync {
    /// Stores a pending link, unless all access of its user was revoked since the authorization started. Queued revocations of
    /// the same platform account are narrowed so that they do not end it. The row is stored even if the deadline of the answer
    /// has passed; nobody confirms it then.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError>;

    /// Pending link that has not expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError>;

    /// Removes one expired pending link, if there is one, and reports whether there was. The audit row names the actor of the
    /// receipt and the session of the link.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError>;
}

/// SHA-256 of the confirmation token and all that it is bound to; nobody else can name the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingLinkId(pub [u8; 32]);

/// Link that waits for confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Id.
    pub id: PendingLinkId,
    /// Owner of the account.
    pub user: UserId,
    /// Session that started the authorization.
    pub session: SessionId,
    /// The account to link; `connected_at` is set at confirmation.
    pub account: UserAccount,
    /// Tokens, encrypted as in the account's own row, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// Access epoch under which the authorization started.
    pub access_epoch: i64,
    /// Lifetime from when the link is stored.
    pub lifetime: Duration,
}

impl PendingLink {
    /// Revocation of the link's grant, if the platform issued tokens.
    pub(crate) fn revocation(&self) -> Option<Revocation> {
        let account = &self.account;
        let tokens = self.tokens.clone()?;
        Some(tokens.revocation(account.account_type, account.platform_user_id.clone()))
    }
}

/// Result of [`PendingLinks::add_pending_link`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingLinkOutcome {
    /// The link waits for confirmation.
    Pending,
    /// All access was revoked in the meantime; the grant is queued for revocation.
    EpochMoved,
    /// The session that asked has ended; the grant is queued for revocation.
    SessionEnded,
    /// An earlier delivery of the job was answered; nothing changed.
    Repeated(Ciphertext),
}
