//! Encrypted texts of all columns that are kept for more than an hour, for their re-encryption under another key.

use async_trait::async_trait;
use protocol::id::UserId;

use crate::StoreError;
use crate::vault::Ciphertext;

/// Access to encrypted texts without their meaning. A concurrent writer of a text wins, as its text is newer.
///
/// Answers are encrypted too, but exempt, as they expire within the hour.
#[async_trait]
pub trait EncryptedColumns: Send + Sync {
    /// Up to `max` texts of a column that another key has encrypted, in the order of their rows, after `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn texts_under_other_keys(
        &self,
        column: EncryptedColumn,
        key_id: &str,
        after: Option<&EncryptedText>,
        max: usize,
    ) -> Result<Vec<EncryptedText>, StoreError>;

    /// Reports whether this key has encrypted a text of a column.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn has_texts_under(&self, column: EncryptedColumn, key_id: &str) -> Result<bool, StoreError>;

    /// Replaces each text whose row still has the old one and is not locked. Returns the number of replaced texts. Changes
    /// nothing else of a row.
    ///
    /// # Errors
    /// [`StoreError`]; texts that were replaced stay so.
    async fn replace_texts(&self, column: EncryptedColumn, texts: &[ReencryptedText]) -> Result<u64, StoreError>;
}

/// Encrypted column: the only list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EncryptedColumn {
    /// Access token of a pending link.
    PendingLinkAccess,
    /// Refresh token of a pending link.
    PendingLinkRefresh,
    /// Access token of a linked account.
    AccountAccess,
    /// Refresh token of a linked account.
    AccountRefresh,
    /// Access token of a queued revocation.
    TaskAccess,
    /// Refresh token of a queued revocation.
    TaskRefresh,
    /// Secret or address of a second factor that waits for its first code.
    PendingFactor,
    /// Secret or address of an enabled second factor.
    Factor,
    /// Key of the HMACs of a user's recovery codes.
    RecoveryKey,
    /// Key of a user in the audit log.
    UserKey,
}

impl EncryptedColumn {
    /// All columns. A token moves from a pending link to an account or a task, and from an account to a task; a secret moves from
    /// a pending second factor to an enabled one. In this order, no text escapes between two columns.
    pub const ALL: [Self; 10] = [
        Self::PendingLinkAccess,
        Self::PendingLinkRefresh,
        Self::AccountAccess,
        Self::AccountRefresh,
        Self::TaskAccess,
        Self::TaskRefresh,
        Self::PendingFactor,
        Self::Factor,
        Self::RecoveryKey,
        Self::UserKey,
    ];

    /// Table and column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingLinkAccess => "pending_links.access_token",
            Self::PendingLinkRefresh => "pending_links.refresh_token",
            Self::AccountAccess => "accounts.access_token",
            Self::AccountRefresh => "accounts.refresh_token",
            Self::TaskAccess => "tasks.access_token",
            Self::TaskRefresh => "tasks.refresh_token",
            Self::PendingFactor => "security.pending_secret",
            Self::Factor => "security.factor_secret",
            Self::RecoveryKey => "security.recovery_key",
            Self::UserKey => "user_keys.key",
        }
    }
}

/// Encrypted text with its binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedText {
    /// Row number of a task or pending link; 0 if user and scope identify the row.
    pub number: i64,
    /// Owner of the text.
    pub user: UserId,
    /// Scope of the binding: a platform's name, `factor` or `audit`.
    pub scope: String,
    /// Column of the binding.
    pub bound: String,
    /// The text.
    pub encrypted: Ciphertext,
}

/// Text that was re-encrypted under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReencryptedText {
    /// Text as it was read.
    pub previous: EncryptedText,
    /// New text.
    pub encrypted: Ciphertext,
}
