//! First use of each vault key.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::StoreError;
use crate::key_uses::KeyUses;

#[async_trait]
impl KeyUses for MemoryStore {
    async fn record_key_use(&self, key_id: &str) -> Result<Duration, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let first_used_at = *state.vault_keys.entry(key_id.to_owned()).or_insert(now);
        Ok(now.duration_since(first_used_at).unwrap_or_default())
    }
}
