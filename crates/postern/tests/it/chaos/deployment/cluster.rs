//! Redis Cluster under a stage: primaries fail over, and slots move while they are in use.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use protocol::lane::Lane;
use testkit::RedisCluster;
use testkit::chaos::SeededRng;
use testkit::redis::Failover;

use super::{RedisFault, kill_connections};
use crate::audience::Loss;

/// Cluster of three primaries and three replicas.
pub(crate) struct ClusterServers {
    redis: RedisCluster,
    /// Users by slot: what a fault of a slot or of its primary has cost them.
    losses: BTreeMap<String, (u16, Loss)>,
}

impl ClusterServers {
    pub(crate) async fn start(users: impl Iterator<Item = String>) -> Self {
        let redis = RedisCluster::start().await;
        let mut losses = BTreeMap::new();
        for user in users {
            let slot = redis.slot_of(&format!("{{{user}}}")).await;
            losses.insert(user, (slot, Loss::Nothing));
        }
        Self { redis, losses }
    }

    pub(super) fn redis(&self) -> &RedisCluster {
        &self.redis
    }

    pub(super) fn loss_of(&self, user: &str) -> Loss {
        self.losses.get(user).map_or(Loss::Nothing, |(_, loss)| *loss)
    }

    pub(super) async fn inject(&mut self, fault: RedisFault, rng: &mut SeededRng) {
        // The end of the previous fault: before it no replica could take over, and no slot move.
        self.redis.until_agreed().await;
        match fault {
            RedisFault::ConnectionsKilled => {
                let primary = self.any_primary(rng).await;
                kill_connections(self.redis.node(primary), rng).await;
            }
            RedisFault::Failover => {
                let primary = self.any_primary(rng).await;
                self.mark_users_of(primary, Loss::Epoch).await;
                let replica = self.redis.replica_of(primary).await;
                self.redis.failover(replica, Failover::Agreed).await;
            }
            RedisFault::Paused => {
                let (primary, slot) = self.next_primary_to_lose(rng).await;
                self.redis.node_mut(primary).pause();
                self.redis.until_replaced(primary, slot).await;
                rng.pause(Duration::ZERO..Duration::from_secs(2)).await;
                self.redis.node_mut(primary).resume();
            }
            RedisFault::Killed => {
                let (primary, slot) = self.next_primary_to_lose(rng).await;
                self.redis.node_mut(primary).kill().await;
                self.redis.until_replaced(primary, slot).await;
                self.redis.node_mut(primary).restart().await;
            }
            RedisFault::SlotsMoved => self.move_slots(rng).await,
        }
    }

    async fn any_primary(&self, rng: &mut SeededRng) -> usize {
        let primaries = self.redis.primaries().await;
        primaries[rng.below(primaries.len())]
    }

    /// Primary whose replica will take over, and one of its slots.
    async fn next_primary_to_lose(&mut self, rng: &mut SeededRng) -> (usize, u16) {
        let primary = self.any_primary(rng).await;
        self.mark_users_of(primary, Loss::Writes).await;
        (primary, self.redis.slots_of(primary).await[0].0)
    }

    async fn mark_users_of(&mut self, primary: usize, loss: Loss) {
        let ranges = self.redis.slots_of(primary).await;
        self.mark(
            |slot| ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot)),
            loss,
        );
    }

    fn mark(&mut self, is_hit: impl Fn(u16) -> bool, loss: Loss) {
        for (slot, most) in self.losses.values_mut() {
            if is_hit(*slot) {
                *most = loss.max(*most);
            }
        }
    }

    /// Moves slots of users, lanes and nodes to other primaries, and back.
    async fn move_slots(&mut self, rng: &mut SeededRng) {
        let slots = self.slots_in_use(rng).await;
        self.mark(|slot| slots.contains(&slot), Loss::Epoch);
        let (mut there, mut back) = (Vec::new(), Vec::new());
        let primaries = self.redis.primaries().await;
        for slot in slots {
            let from = self.redis.primary_of(slot).await;
            let others: Vec<usize> = primaries.iter().copied().filter(|index| *index != from).collect();
            there.push((slot, others[rng.below(others.len())]));
            back.push((slot, from));
        }
        self.move_all(&there, rng).await;
        rng.pause(Duration::from_millis(100)..Duration::from_secs(2)).await;
        self.move_all(&back, rng).await;
    }

    /// Slots of a few users, a lane, and the replies of a gateway.
    async fn slots_in_use(&self, rng: &mut SeededRng) -> Vec<u16> {
        let mut slots: Vec<u16> = self.losses.values().map(|(slot, _)| *slot).collect();
        rng.shuffle(&mut slots);
        slots.truncate(USERS_MOVED);
        let lane = Lane::ALL[rng.below(Lane::ALL.len())];
        slots.push(self.redis.slot_of(&format!("{{jobs:{}}}", lane.as_str())).await);
        let mut replies = Vec::new();
        for primary in self.redis.primaries().await {
            let channels = self
                .redis
                .node(primary)
                .command(&["PUBSUB", "SHARDCHANNELS", "pn:{n:*"])
                .await;
            replies.extend(channels.lines().map(str::to_owned));
        }
        if !replies.is_empty() {
            slots.push(self.redis.slot_of(&replies[rng.below(replies.len())]).await);
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Moves each slot to a primary. Before and after its keys have moved it stays open for a while: missing keys are redirected, and
    /// scripts with keys on both sides refused.
    async fn move_all(&self, moves: &[(u16, usize)], rng: &mut SeededRng) {
        for (slot, to) in moves {
            self.redis.open_migration(*slot, *to).await;
        }
        rng.pause(OPEN).await;
        for (slot, to) in moves {
            self.redis.migrate_keys(*slot, *to).await;
        }
        rng.pause(OPEN).await;
        for (slot, to) in moves {
            self.redis.migrate_keys(*slot, *to).await;
        }
        self.redis.close_migrations(moves).await;
    }
}

/// Users of a move of slots.
const USERS_MOVED: usize = 8;
/// Time for which a slot is open, before and after its keys have moved.
const OPEN: Range<Duration> = Duration::ZERO..Duration::from_millis(500);
