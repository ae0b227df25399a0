//! First use of each vault key. A key has no date of its own, so the store records when it was first used.

use std::time::Duration;

use async_trait::async_trait;

use crate::StoreError;

/// Record of the vault keys that have encrypted.
#[async_trait]
pub trait KeyUses: Send + Sync {
    /// Records that the key with this id encrypts from now on, unless that was recorded before. Returns the time since its first use.
    ///
    /// # Errors
    /// [`StoreError`]; unless it is `Unknown`, nothing was recorded.
    async fn record_key_use(&self, key_id: &str) -> Result<Duration, StoreError>;
}
