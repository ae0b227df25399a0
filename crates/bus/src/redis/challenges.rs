//! Challenges in Redis: strings that end by themselves.

use std::time::Duration;

use async_trait::async_trait;

use super::RedisBus;
use crate::{BusError, Challenges, Key};

#[async_trait]
impl Challenges for RedisBus {
    async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        let (shared, name) = (&self.shared, self.shared.names.challenge(key));
        shared.commands.set("keep a challenge", name, value.to_vec(), ttl).await
    }

    async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, name) = (&self.shared, self.shared.names.challenge(key));
        let mut kept = shared.commands.get("read a challenge", vec![name]).await?;
        Ok(kept.next().map(Vec::from))
    }

    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, name) = (&self.shared, self.shared.names.challenge(key));
        let mut kept = shared.commands.take("take a challenge", name).await?;
        Ok(kept.next().map(Vec::from))
    }
}
