//! Inboxes of bots: who reads one, from where on, and when again.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use serde_json::Value;

use crate::StoreError;

/// Who may read what a platform's bot has received: one worker at a time, because a platform may take what was read as read.
#[async_trait]
pub trait Inboxes: Send + Sync {
    /// Takes the turn to read this platform's inbox; none where it is not due, or somebody else's turn lasts.
    ///
    /// # Errors
    /// [`StoreError`]; a turn that was taken and not told ends with its lease.
    async fn lease_inbox(&self, platform: AccountType, ttl: Duration) -> Result<Option<InboxLease>, StoreError>;

    /// Records up to where it was read (none: as before), and lets the turn go; the next one comes after so long. False: the turn was
    /// lost, and nothing is recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_inbox(
        &self,
        lease: &InboxLease,
        cursor: Option<&Value>,
        next: Duration,
    ) -> Result<bool, StoreError>;
}

/// The right to read an inbox. Each has a higher fence than the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxLease {
    /// Whose inbox.
    pub platform: AccountType,
    /// Of all turns of this inbox the last one counts.
    pub fence: i64,
    /// Up to where it was read; none: never.
    pub cursor: Option<Value>,
}
