//! Pauses of whole platforms.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;

use crate::StoreError;

/// Platform-wide pauses. All calls to a platform respect them: no sync, refresh, exchange, revocation or inbox read starts during
/// a pause.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// Pauses a platform for this long from now, unless a longer pause exists.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pause_platform(&self, platform: AccountType, wait: Duration) -> Result<(), StoreError>;
}
