//! Challenges in memory.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::challenges::Place;
use crate::{BusError, ChallengeKey, ChallengeKind, Challenges};

/// The values there are.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Those that belong to no user.
    alone: Expiring<ChallengeKey, Vec<u8>>,
    /// Those of each user and kind, oldest first.
    owned: Expiring<(UserId, ChallengeKind), Vec<Value>>,
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
        match key.place() {
            Place::Alone(..) => values.alone.insert(key.clone(), value.to_vec(), ttl),
            Place::Owned(user, kind, name) => {
                let mut kept = values.of(user, kind);
                kept.retain(|other| other.name != name);
                kept.push(Value {
                    name: name.to_owned(),
                    ends: Instant::now() + ttl,
                    bytes: value.to_vec(),
                });
                let surplus = kept.len().saturating_sub(kind.most());
                kept.drain(..surplus);
                values.keep(user, kind, kept);
            }
        }
        Ok(())
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let values = lock(&self.shared.challenges);
        let Place::Owned(user, kind, name) = key.place() else {
            return Ok(values.alone.get(key).cloned());
        };
        let found = values.of(user, kind).into_iter().find(|value| value.name == name);
        Ok(found.map(|value| value.bytes))
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let mut values = lock(&self.shared.challenges);
        let Place::Owned(user, kind, name) = key.place() else {
            return Ok(values.alone.remove(key));
        };
        let mut kept = values.of(user, kind);
        let Some(index) = kept.iter().position(|value| value.name == name) else {
            return Ok(None);
        };
        let taken = kept.remove(index);
        values.keep(user, kind, kept);
        Ok(Some(taken.bytes))
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        let kept = lock(&self.shared.challenges).of(user, kind);
        Ok(kept.into_iter().map(|value| value.bytes).collect())
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        lock(&self.shared.challenges).owned.remove(&(user.clone(), kind));
        Ok(())
    }
}

impl Values {
    /// What a user has of a kind and has not ended.
    fn of(&self, user: &UserId, kind: ChallengeKind) -> Vec<Value> {
        let now = Instant::now();
        let mut kept = self.owned.get(&(user.clone(), kind)).cloned().unwrap_or_default();
        kept.retain(|value| value.ends > now);
        kept
    }

    /// Replaces what a user has of a kind. It ends with the last of its values.
    fn keep(&mut self, user: &UserId, kind: ChallengeKind, kept: Vec<Value>) {
        let now = Instant::now();
        let last = kept.iter().map(|value| value.ends.saturating_duration_since(now)).max();
        self.owned
            .insert((user.clone(), kind), kept, last.unwrap_or(Duration::ZERO));
    }
}
