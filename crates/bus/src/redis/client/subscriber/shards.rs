//! Shards of a subscriber: each desired channel is registered with the owner of its slot, and moves with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ProbeNames;
use super::registry::{Channel, Confirmed, Registry};
use super::shard::Shard;
use crate::redis::client::slots::SlotMap;
use crate::redis::settings::Endpoint;

/// Shards of one subscriber, one for each primary of the slot map.
pub(super) struct Shards {
    probes: ProbeNames,
    state: Mutex<ShardsState>,
}

#[derive(Debug, Default)]
struct ShardsState {
    map: Arc<SlotMap>,
    shards: Vec<Arc<Shard>>,
    /// Desired channels of slots without an owner.
    unowned: Registry,
    /// Number of the next probe channel. None is used twice: the probe messages of one server must not count as those of another.
    next_probe: u32,
}

impl Shards {
    /// No shards: the map is still to be applied.
    pub(super) fn new(probes: ProbeNames) -> Self {
        Self {
            probes,
            state: Mutex::default(),
        }
    }

    /// Applies a map: channels of moved slots change their registries, and shards without slots end. Returns new shards, whose tasks are
    /// still to be started; `end` ends all of them.
    pub(super) fn apply(&self, map: Arc<SlotMap>, end: &CancellationToken) -> Vec<Arc<Shard>> {
        let now = Instant::now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut new = Vec::new();
        for server in map.primaries() {
            if !state.shards.iter().any(|shard| shard.server() == server) {
                let probe = self.probe_of(&map, server, &mut state.next_probe);
                new.push(Arc::new(Shard::new(server.clone(), probe, end.child_token())));
            }
        }
        state.shards.extend(new.iter().cloned());
        let mut departed = state.unowned.depart(now, |channel| map.owner_of(channel).is_some());
        state.unowned.relax(now, true);
        for shard in &state.shards {
            let (server, probe) = (shard.server(), shard.probe());
            let leaves = |channel: &str| map.owner_of(channel) != Some(server);
            let channels = shard.registry.depart(now, leaves);
            departed.extend(channels.into_iter().filter(|departed| *departed.channel() != probe));
            if leaves(&probe) && map.primaries().contains(server) {
                shard.replace_probe(self.probe_of(&map, server, &mut state.next_probe));
            }
        }
        state.shards.retain(|shard| {
            let stays = map.primaries().contains(shard.server());
            if !stays {
                shard.end().cancel();
            }
            stays
        });
        state.map = map;
        for departed in departed {
            state.registry_of(departed.channel()).adopt(departed);
        }
        new
    }

    /// Adds a desired channel. The receiver resolves when the server has confirmed or refused it; none if it is confirmed already.
    pub(super) fn subscribe(&self, channel: Channel) -> Option<Confirmed> {
        self.lock().registry_of(&channel).subscribe(channel)
    }

    /// Removes a desired channel.
    pub(super) fn unsubscribe(&self, channel: &str) {
        self.lock().registry_of(channel).unsubscribe(channel);
    }

    /// Reports whether messages arrive from a shard: its users are served.
    pub(super) fn is_live(&self) -> bool {
        self.lock().shards.iter().any(|shard| shard.is_live())
    }

    /// Reports whether messages arrive from every shard, and every desired channel has one.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.lock();
        !state.shards.is_empty() && state.unowned.is_empty() && state.shards.iter().all(|shard| shard.is_live())
    }

    /// Longest time since a probe message of a shard last came back.
    pub(super) fn silence(&self) -> Duration {
        let state = self.lock();
        let silences = state.shards.iter().map(|shard| shard.silence());
        silences.max().unwrap_or_default()
    }

    /// Channel for the probe messages of a server, in one of its slots.
    fn probe_of(&self, map: &SlotMap, server: &Endpoint, next: &mut u32) -> Channel {
        let (number, name) = map.name_of(server, &*self.probes, *next);
        *next = number.wrapping_add(1);
        Channel::from(name)
    }

    fn lock(&self) -> MutexGuard<'_, ShardsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShardsState {
    /// Registry of a channel.
    fn registry_of(&self, channel: &str) -> &Registry {
        let shard = self.map.owner_of(channel).and_then(|owner| {
            let mut shards = self.shards.iter();
            shards.find(|shard| shard.server() == owner)
        });
        shard.map_or(&self.unowned, |shard| &shard.registry)
    }
}

#[cfg(test)]
mod tests;
