//! Inboxes of bots: read cursor, lease of the worker that reads, and time of the next read.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use serde_json::Value;

use crate::StoreError;

/// Read leases of bots' inboxes. One worker at a time reads an inbox, because a platform may discard what was read.
#[async_trait]
pub trait Inboxes: Send + Sync {
    /// Leases a platform's inbox for reading; none if it is not due or another worker's lease is valid.
    ///
    /// # Errors
    /// [`StoreError`]; a lease that was taken but not returned expires by itself.
    async fn lease_inbox(&self, platform: AccountType, ttl: Duration) -> Result<Option<InboxLease>, StoreError>;

    /// Stores the cursor (none keeps the old one), releases the lease, and schedules the next read after `next`. False if the
    /// lease was lost; nothing is stored then.
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

/// Lease of an inbox, with a fencing token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxLease {
    /// Platform.
    pub platform: AccountType,
    /// Fencing token: only the latest lease of the inbox is valid.
    pub fence: i64,
    /// Read cursor; none before the first read.
    pub cursor: Option<Value>,
}
