//! Platforms that ask the whole application to wait.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;

use crate::StoreError;

/// Whoever asks a platform keeps to it: no account's turn, refresh, exchange, revocation or inbox is begun meanwhile.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// Leaves this platform alone for so long from now, or longer where that was asked before.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pause_platform(&self, platform: AccountType, wait: Duration) -> Result<(), StoreError>;
}
