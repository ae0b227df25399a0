//! Every sealed text that outlives the hour, wherever it stands: for sealing all of them anew under another key.

use async_trait::async_trait;
use protocol::id::UserId;

use crate::StoreError;
use crate::vault::Ciphertext;

/// The sealed texts as such. Whoever replaces one at the same time wins: its text is newer.
///
/// Answers are left alone: they are sealed too, and gone within the hour.
#[async_trait]
pub trait EncryptedColumns: Send + Sync {
    /// Up to `max` texts of a column that were sealed by another key than this one, in the order of their rows, behind `after`.
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

    /// Puts each new text where the old one still stands and nobody is writing; says how many. Nothing else of a row changes.
    ///
    /// # Errors
    /// [`StoreError`]; what was put stays.
    async fn replace_texts(&self, column: EncryptedColumn, texts: &[ReencryptedText]) -> Result<u64, StoreError>;
}

/// Where sealed texts stand. The one list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EncryptedColumn {
    /// The access token of a parked link.
    PendingLinkAccess,
    /// Its refresh token.
    PendingLinkRefresh,
    /// The access token of a linked account.
    AccountAccess,
    /// Its refresh token.
    AccountRefresh,
    /// The access token of a revocation in the queue.
    TaskAccess,
    /// Its refresh token.
    TaskRefresh,
    /// The secret or address of a second factor that waits for its first code.
    PendingFactor,
    /// The secret or address of a second factor that is on.
    Factor,
    /// What keys the HMACs of a user's recovery codes.
    RecoveryKey,
}

impl EncryptedColumn {
    /// All. A token moves from a parked link to an account or a task, and from an account to a task, a secret from a second factor that waits to one that is on, and never back,
    /// so that none slips through between two of them.
    pub const ALL: [Self; 9] = [
        Self::PendingLinkAccess,
        Self::PendingLinkRefresh,
        Self::AccountAccess,
        Self::AccountRefresh,
        Self::TaskAccess,
        Self::TaskRefresh,
        Self::PendingFactor,
        Self::Factor,
        Self::RecoveryKey,
    ];

    /// Table and column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingLinkAccess => "parked_links.access_token",
            Self::PendingLinkRefresh => "parked_links.refresh_token",
            Self::AccountAccess => "accounts.access_token",
            Self::AccountRefresh => "accounts.refresh_token",
            Self::TaskAccess => "tasks.access_token",
            Self::TaskRefresh => "tasks.refresh_token",
            Self::PendingFactor => "security.pending_secret",
            Self::Factor => "security.factor_secret",
            Self::RecoveryKey => "security.recovery_key",
        }
    }
}

/// A sealed text, and the place it is sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedText {
    /// The row, where user and scope do not name it: the number of a task or of a parked link.
    pub number: i64,
    /// Whose.
    pub user: UserId,
    /// What it is about: a platform's name, or `factor`.
    pub scope: String,
    /// The column of its binding.
    pub bound: String,
    /// The text.
    pub encrypted: Ciphertext,
}

/// The same text under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReencryptedText {
    /// As it was found.
    pub was: EncryptedText,
    /// As it is to be.
    pub encrypted: Ciphertext,
}
