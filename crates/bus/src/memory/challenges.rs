//! Challenges in memory.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::challenges::ChallengeLocation;
use crate::{BusError, ChallengeKey, ChallengeKind, Challenges};

/// Stored challenges.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Challenges of no user.
    global: Expiring<ChallengeKey, Vec<u8>>,
    /// Challenges of each user and kind, oldest first.
    per_user: Expiring<(UserId, ChallengeKind), Vec<Value>>,
}

#[derive(Debug, Clone)]
struct Value {
    name: String,
    ends: Instant,
    bytes: Vec<u8>,
}

#[async_trait]
impl Challenges for MemoryBus {
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        let mut values = lock(&self.shared.challenges);
        match key.location() {
            ChallengeLocation::Global(..) => values.global.insert(key.clone(), value.to_vec(), ttl),
            ChallengeLocation::PerUser(user, kind, name) => {
                let mut stored = values.of(user, kind);
                stored.retain(|other| other.name != name);
                stored.push(Value {
                    name: name.to_owned(),
                    ends: Instant::now() + ttl,
                    bytes: value.to_vec(),
                });
                let excess = stored.len().saturating_sub(kind.max_per_user());
                stored.drain(..excess);
                values.store(user, kind, stored);
            }
        }
        Ok(())
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let values = lock(&self.shared.challenges);
        let ChallengeLocation::PerUser(user, kind, name) = key.location() else {
            return Ok(values.global.get(key).cloned());
        };
        let found = values.of(user, kind).into_iter().find(|value| value.name == name);
        Ok(found.map(|value| value.bytes))
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let mut values = lock(&self.shared.challenges);
        let ChallengeLocation::PerUser(user, kind, name) = key.location() else {
            return Ok(values.global.remove(key));
        };
        let mut stored = values.of(user, kind);
        let Some(index) = stored.iter().position(|value| value.name == name) else {
            return Ok(None);
        };
        let taken = stored.remove(index);
        values.store(user, kind, stored);
        Ok(Some(taken.bytes))
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        let stored = lock(&self.shared.challenges).of(user, kind);
        Ok(stored.into_iter().map(|value| value.bytes).collect())
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        lock(&self.shared.challenges).per_user.remove(&(user.clone(), kind));
        Ok(())
    }
}

impl Values {
    /// Unexpired challenges of a user and kind.
    fn of(&self, user: &UserId, kind: ChallengeKind) -> Vec<Value> {
        let now = Instant::now();
        let mut stored = self.per_user.get(&(user.clone(), kind)).cloned().unwrap_or_default();
        stored.retain(|value| value.ends > now);
        stored
    }

    /// Replaces the challenges of a user and kind. The entry expires with the last of them.
    fn store(&mut self, user: &UserId, kind: ChallengeKind, stored: Vec<Value>) {
        let now = Instant::now();
        let last = stored
            .iter()
            .map(|value| value.ends.saturating_duration_since(now))
            .max();
        self.per_user
            .insert((user.clone(), kind), stored, last.unwrap_or(Duration::ZERO));
    }
}
