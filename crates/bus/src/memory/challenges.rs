//! Challenges in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::{BusError, Challenges, Key};

/// The values there are.
pub(super) type Values = Expiring<Key, Vec<u8>>;

#[async_trait]
impl Challenges for MemoryBus {
    async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        lock(&self.shared.challenges).insert(key.clone(), value.to_vec(), ttl);
        Ok(())
    }

    async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        Ok(lock(&self.shared.challenges).get(key).cloned())
    }

    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        Ok(lock(&self.shared.challenges).remove(key))
    }
}
