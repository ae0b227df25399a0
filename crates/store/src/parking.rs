//! Parked links: what a platform has granted, and its user has still to confirm.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::UserAccount;
use protocol::id::{SessionId, UserId};

use crate::StoreError;
use crate::accounts::EncryptedTokens;
use crate::answers::Receipt;
use crate::queue::Revocation;
use crate::vault::Ciphertext;

/// The life of a parked link. It ends in one of three ways: [`crate::Accounts::link_account`] takes it, all access of its user is
/// revoked, or its time is over. In the last two its grant is queued for revocation, and so it is where the link is refused.
#[async_trait]
pub trait PendingLinks: Send + Sync {
    /// Parks a link, unless all access of its user was revoked since it was begun. What is still to be revoked of the same platform
    /// account will not end it. It is kept also when nobody waits for the answer any more: then nobody confirms it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError>;

    /// A parked link whose time is not over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError>;

    /// Ends a parked link whose time is over, if there is one; true when there was. The receipt tells the audit log who did it; what
    /// session it was parked for is known here.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError>;
}

/// SHA-256 over what confirms a parked link and all that this is bound to: for anyone else there is no such link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingLinkId(pub [u8; 32]);

/// A link that waits to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Its name.
    pub id: PendingLinkId,
    /// For whom.
    pub user: UserId,
    /// The session that has begun it.
    pub session: SessionId,
    /// The account, as it would be linked; when it would be counts from the confirmation.
    pub account: UserAccount,
    /// Its tokens, sealed as in the account's own row, where the platform issued any.
    pub tokens: Option<EncryptedTokens>,
    /// The access epoch that it was begun under.
    pub access_epoch: i64,
    /// How long it may wait from when it is parked.
    pub lifetime: Duration,
}

impl PendingLink {
    /// What ends its grant at the platform, where that issued anything.
    pub(crate) fn revocation(&self) -> Option<Revocation> {
        let account = &self.account;
        let tokens = self.tokens.clone()?;
        Some(tokens.revocation(account.account_type, account.platform_user_id.clone()))
    }
}

/// What became of a link that was to be parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingLinkOutcome {
    /// It waits.
    Pending,
    /// All access was revoked meanwhile; the grant is queued for revocation.
    EpochMoved,
    /// The session that asked has ended; the grant is queued for revocation.
    SessionEnded,
    /// This job was answered before; nothing was done.
    Repeated(Ciphertext),
}
