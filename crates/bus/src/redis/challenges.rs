//! Challenges in Redis: strings that end by themselves, and for each user and kind a hash whose fields have an end of their own.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, RedisReply, Script};
use crate::challenges::Place;
use crate::{BusError, ChallengeKey, ChallengeKind, Challenges};

/// What is one step on the server.
pub(super) struct Scripts {
    put: Script,
    read: Script,
    take: Script,
    read_all: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            put: Script::new(concat!(
                include_str!("script/challenge.lua"),
                include_str!("script/put_challenge.lua")
            )),
            read: Script::new(concat!(
                include_str!("script/challenge.lua"),
                include_str!("script/read_challenge.lua")
            )),
            take: Script::new(concat!(
                include_str!("script/challenge.lua"),
                include_str!("script/take_challenge.lua")
            )),
            read_all: Script::new(concat!(
                include_str!("script/challenge.lua"),
                include_str!("script/read_challenges.lua")
            )),
        }
    }
}

#[async_trait]
impl Challenges for RedisBus {
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        let (shared, step, value) = (&self.shared, "keep a challenge", value.to_vec());
        match key.place() {
            Place::Alone(what, hash) => {
                let name = shared.names.challenge_of_nobody(what, hash);
                shared.commands.set(step, name, value, ttl).await
            }
            Place::Owned(user, kind, name) => {
                let args = [
                    Arg::from(name),
                    Arg::from(value),
                    Arg::from(ttl.as_micros().max(1)),
                    Arg::from(kind.most()),
                ];
                let put = self.owned(step, &shared.challenges.put, (user, kind), args);
                put.await.map(drop)
            }
        }
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, step) = (&self.shared, "read a challenge");
        let mut kept = match key.place() {
            Place::Alone(what, hash) => {
                let name = shared.names.challenge_of_nobody(what, hash);
                shared.commands.get(step, vec![name]).await?
            }
            Place::Owned(user, kind, name) => {
                let script = &shared.challenges.read;
                self.owned(step, script, (user, kind), [Arg::from(name)]).await?
            }
        };
        Ok(kept.next().map(Vec::from))
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        let (shared, step) = (&self.shared, "take a challenge");
        let mut taken = match key.place() {
            Place::Alone(what, hash) => {
                let name = shared.names.challenge_of_nobody(what, hash);
                shared.commands.take(step, name).await?
            }
            Place::Owned(user, kind, name) => {
                let script = &shared.challenges.take;
                self.owned(step, script, (user, kind), [Arg::from(name)]).await?
            }
        };
        Ok(taken.next().map(Vec::from))
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        let script = &self.shared.challenges.read_all;
        let kept = self.owned("read challenges", script, (user, kind), []).await?;
        Ok(kept.map(Vec::from).collect())
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        let keys = vec![self.shared.names.challenges(user, kind)];
        self.shared.commands.delete("delete challenges", keys).await
    }
}

impl RedisBus {
    async fn owned<const N: usize>(
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
