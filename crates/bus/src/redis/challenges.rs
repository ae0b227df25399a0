//! Challenges in Redis: strings with a TTL, and for each user and kind a hash whose fields have their own expiry.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, RedisReply, Script};
use crate::challenges::ChallengeLocation;
use crate::operation::Operation;
use crate::{BusError, ChallengeKey, ChallengeKind, Challenges};

/// Scripts of the challenges.
pub(super) struct ChallengeScripts {
    put: Script,
    read: Script,
    take: Script,
    read_all: Script,
}

impl ChallengeScripts {
    pub(super) fn new() -> Self {
        Self {
            put: Script::new(
                Operation::PutChallenge,
                concat!(
                    include_str!("script/challenge.lua"),
                    include_str!("script/put_challenge.lua")
                ),
            ),
            read: Script::new(
                Operation::ReadChallenge,
                concat!(
                    include_str!("script/challenge.lua"),
                    include_str!("script/read_challenge.lua")
                ),
            ),
            take: Script::new(
                Operation::TakeChallenge,
                concat!(
                    include_str!("script/challenge.lua"),
                    include_str!("script/take_challenge.lua")
                ),
            ),
            read_all: Script::new(
                Operation::ReadChallenges,
                concat!(
                    include_str!("script/challenge.lua"),
                    include_str!("script/read_challenges.lua")
                ),
            ),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            put,
            read,
            take,
            read_all,
        } = self;
        [put, read, take, read_all].into_iter()
    }
}

#[async_trait]
impl Challenges for RedisBus {
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        let (shared, step, value) = (&self.shared, "store a challenge", value.to_vec());
        match key.location() {
            ChallengeLocation::Global(kind, hash) => {
                let name = shared.names.global_challenge(kind, hash);
                shared.commands.set(step, name, value, ttl).await
            }
            ChallengeLocation::PerUser(user, kind, name) => {
                let args = [
                    Arg::from(name),
                    Arg::from(value),
                    Arg::from(ttl.as_micros().max(1)),
                    Arg::from(kind.max_per_user()),
                ];
                let put = self.per_user(step, &shared.challenges.put, (user, kind), args);
                put.await.map(drop)
            }
        }
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, step) = (&self.shared, "read a challenge");
        let mut stored = match key.location() {
            ChallengeLocation::Global(kind, hash) => {
                let name = shared.names.global_challenge(kind, hash);
                shared.commands.get(step, vec![name]).await?
            }
            ChallengeLocation::PerUser(user, kind, name) => {
                let script = &shared.challenges.read;
                self.per_user(step, script, (user, kind), [Arg::from(name)]).await?
            }
        };
        Ok(stored.next().map(Vec::from))
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, step) = (&self.shared, "take a challenge");
        let mut taken = match key.location() {
            ChallengeLocation::Global(kind, hash) => {
                let name = shared.names.global_challenge(kind, hash);
                shared.commands.take(step, name).await?
            }
            ChallengeLocation::PerUser(user, kind, name) => {
                let script = &shared.challenges.take;
                self.per_user(step, script, (user, kind), [Arg::from(name)]).await?
            }
        };
        Ok(taken.next().map(Vec::from))
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        let script = &self.shared.challenges.read_all;
        let stored = self.per_user("read challenges", script, (user, kind), []).await?;
        Ok(stored.map(Vec::from).collect())
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        let keys = vec![self.shared.names.challenges(user, kind)];
        self.shared.commands.delete("delete challenges", keys).await
    }
}

impl RedisBus {
    async fn per_user<const N: usize>(
        &self,
        step: &'static str,
        script: &Script,
        (user, kind): (&UserId, ChallengeKind),
        args: [Arg; N],
    ) -> Result<RedisReply, BusError> {
        let keys = [self.shared.names.challenges(user, kind)];
        self.shared.commands.run(step, script, keys, args).await
    }
}
