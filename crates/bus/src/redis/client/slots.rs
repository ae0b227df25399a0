//! Slots of a Redis Cluster, and the primaries that own them. One server, or the primary that sentinels name, owns them all.

use std::collections::HashMap;
use std::future;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::util::redis_keyslot;
use tokio::sync::{Notify, watch};

use crate::redis::settings::Endpoint;

/// Map from slots to their primaries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// Ranges in ascending order without overlaps, each with the index of its primary. Slots in none of them have no owner.
    ranges: Vec<(RangeInclusive<u16>, usize)>,
    primaries: Vec<Endpoint>,
    /// Servers that may receive slots, and have none yet.
    joining: Vec<Endpoint>,
}

/// Slot that two servers own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {0} has two owners")]
pub(super) struct TwoOwners(u16);

impl SlotMap {
    /// Map of a server that owns all slots.
    pub(super) fn of_one(server: Endpoint) -> Self {
        Self {
            ranges: vec![(0..=MAX_SLOT, 0)],
            primaries: vec![server],
            joining: Vec::new(),
        }
    }

    /// Map of these ranges, which are within [`MAX_SLOT`], and of servers that may receive slots.
    pub(super) fn new(
        mut owned: Vec<(RangeInclusive<u16>, Endpoint)>,
        mut joining: Vec<Endpoint>,
    ) -> Result<Self, TwoOwners> {
        owned.sort_by_key(|(range, _)| *range.start());
        let (mut map, mut free) = (Self::default(), Some(0));
        for (range, server) in owned {
            if free.is_none_or(|free| *range.start() < free) {
                return Err(TwoOwners(*range.start()));
            }
            free = range.end().checked_add(1);
            let known = map.primaries.iter().position(|known| *known == server);
            let index = known.unwrap_or_else(|| {
                map.primaries.push(server);
                map.primaries.len() - 1
            });
            map.ranges.push((range, index));
        }
        joining.retain(|server| !map.primaries.contains(server));
        joining.sort_by_key(ToString::to_string);
        joining.dedup();
        Ok(Self { joining, ..map })
    }

    /// Servers that own slots.
    pub(super) fn primaries(&self) -> &[Endpoint] {
        &self.primaries
    }

    /// Servers that own slots, then those that may receive some.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Endpoint> {
        self.primaries.iter().chain(&self.joining)
    }

    /// Owner of a slot, if it has one.
    pub(super) fn owner(&self, slot: u16) -> Option<&Endpoint> {
        let after = self.ranges.partition_point(|(range, _)| *range.end() < slot);
        let (range, primary) = self.ranges.get(after)?;
        self.primaries.get(*primary).filter(|_| range.contains(&slot))
    }

    /// Owner of a key or sharded channel, if it has one.
    pub(super) fn owner_of(&self, name: &str) -> Option<&Endpoint> {
        self.owner(slot_of(name))
    }

    /// First of numbered names, from this number on, in a slot of this server, with its number. The very first for a server without slots.
    pub(super) fn name_of(&self, server: &Endpoint, name: &dyn Fn(u32) -> String, from: u32) -> (u32, String) {
        let tried = if self.primaries.contains(server) { MAX_NAMES } else { 0 };
        // A server of a single slot takes 16,384 names on average, and thus some milliseconds.
        let mut names = (0..tried).map(|index| (from.wrapping_add(index), name(from.wrapping_add(index))));
        let found = names.find(|(_, name)| self.owner_of(name) == Some(server));
        found.unwrap_or_else(|| (from, name(from)))
    }
}

/// Names that are tried: a single slot has none of them with a probability of e^-61.
const MAX_NAMES: u32 = 1_000_000;

/// Slot of a key or sharded channel: the CRC-16 of its hash tag, or of the whole name if it has none.
pub(super) fn slot_of(name: &str) -> u16 {
    redis_keyslot(name.as_bytes())
}

/// Current slot map, which failovers and moved slots change. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Slots {
    map: Arc<watch::Sender<Arc<SlotMap>>>,
    stale: Arc<Notify>,
    /// Number of answers of each primary to questions for the map.
    answers: Arc<Mutex<HashMap<Endpoint, u64>>>,
}

impl Slots {
    /// Slots of a server that owns them all for good.
    pub(super) fn of_one(server: Endpoint) -> Self {
        let slots = Self::default();
        slots.replace(SlotMap::of_one(server));
        slots
    }

    /// Current map; empty until a server is known.
    pub(super) fn current(&self) -> Arc<SlotMap> {
        self.map.borrow().clone()
    }

    /// Current map and its changes.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<SlotMap>> {
        self.map.subscribe()
    }

    /// Records another map. Equal ones wake nobody.
    pub(super) fn replace(&self, map: SlotMap) {
        self.map.send_if_modified(|current| {
            let is_new = **current != map;
            if is_new {
                *current = Arc::new(map);
            }
            is_new
        });
    }

    /// Records that a server has answered a question for the map, after its answer was considered.
    pub(super) fn count_answer(&self, server: &Endpoint) {
        let map = self.current();
        let mut answers = self.answers();
        answers.retain(|known, _| map.primaries.contains(known));
        if map.primaries.contains(server) {
            *answers.entry(server.clone()).or_default() += 1;
        }
    }

    /// Number of answers of a primary to questions for the map.
    pub(super) fn answers_of(&self, server: &Endpoint) -> u64 {
        self.answers().get(server).copied().unwrap_or_default()
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Endpoint, u64>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that a server has contradicted the map (MOVED), so that it is read again at once.
    pub(super) fn report_stale(&self) {
        self.stale.notify_one();
    }

    /// Resolves when a server has contradicted the map.
    pub(super) async fn stale(&self) {
        self.stale.notified().await;
    }

    /// Reports whether this server owns no slots.
    pub(super) fn has_left(&self, server: &Endpoint) -> bool {
        !self.map.borrow().primaries.contains(server)
    }

    /// Resolves when this server owns no slots.
    pub(super) async fn leaves(&self, server: &Endpoint) {
        self.until(|map| !map.primaries.contains(server)).await;
    }

    /// Resolves when this server owns no slots, and is not to receive any.
    pub(super) async fn forgets(&self, server: &Endpoint) {
        self.until(|map| !map.servers().any(|known| known == server)).await;
    }

    /// Resolves when this server is not the owner of a slot.
    pub(super) async fn moves(&self, slot: u16, server: &Endpoint) {
        self.until(|map| map.owner(slot) != Some(server)).await;
    }

    async fn until(&self, is_so: impl Fn(&SlotMap) -> bool) {
        if self.watch().wait_for(|map| is_so(map)).await.is_err() {
            // The channel is closed, which `self.map` prevents.
            future::pending::<()>().await;
        }
    }
}

/// Highest slot.
pub(super) const MAX_SLOT: u16 = 16_383;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: 6379,
        }
    }

    #[test]
    fn slot_is_that_of_the_hash_tag() {
        assert_eq!(slot_of("123456789"), 0x31c3, "the vector of the specification");
        assert_eq!(slot_of("pn:{GEN-001}:log"), slot_of("other:{GEN-001}"));
        assert_eq!(slot_of("pn:{GEN-001}:log"), slot_of("GEN-001"));
        assert_ne!(slot_of("pn:{}:a"), slot_of("pn:{}:b"), "an empty tag counts as none");
    }

    #[test]
    fn slots_outside_of_all_ranges_have_no_owner() {
        let owned = vec![(200..=MAX_SLOT, server("b")), (0..=99, server("a"))];
        let map = SlotMap::new(owned, vec![server("c"), server("a")]).unwrap();
        let servers: Vec<&str> = map.servers().map(|server| server.host.as_str()).collect();
        assert_eq!((servers, map.primaries().len()), (vec!["a", "b", "c"], 2));
        for (slot, owner) in [
            (0, Some("a")),
            (99, Some("a")),
            (100, None),
            (199, None),
            (200, Some("b")),
        ] {
            assert_eq!(map.owner(slot).map(|owner| owner.host.as_str()), owner, "{slot}");
        }
        assert_eq!(map.owner(MAX_SLOT), Some(&server("b")));
        assert_eq!(SlotMap::default().owner(0), None);
    }

    #[test]
    fn slot_with_two_owners_is_refused() {
        for (first, second) in [
            (0..=100, 100..=200),
            (0..=MAX_SLOT, MAX_SLOT..=MAX_SLOT),
            (5..=5, 5..=5),
        ] {
            let at = *second.start();
            let owned = vec![(second, server("b")), (first, server("a"))];
            assert_eq!(SlotMap::new(owned, Vec::new()), Err(TwoOwners(at)));
        }
    }

    #[test]
    fn name_for_a_server_is_in_one_of_its_slots() {
        let owned = [(0..=99, "a"), (100..=100, "b"), (101..=MAX_SLOT, "c")];
        let owned = owned.map(|(range, host)| (range, server(host)));
        let map = SlotMap::new(owned.to_vec(), Vec::new()).unwrap();
        let name = |number| format!("pn:{{probe:{number}}}");
        for host in ["a", "b", "c"] {
            let (number, found) = map.name_of(&server(host), &name, 0);
            assert_eq!(map.owner_of(&found), Some(&server(host)), "{found}");
            assert_eq!(found, name(number));
            let (next, other) = map.name_of(&server(host), &name, number + 1);
            assert!(next > number && map.owner_of(&other) == Some(&server(host)), "{other}");
        }
        assert_eq!(map.name_of(&server("d"), &name, 7), (7, name(7)));
    }

    #[tokio::test]
    async fn equal_map_wakes_nobody_and_another_one_does() {
        let slots = Slots::of_one(server("a"));
        let mut watch = slots.watch();
        watch.mark_unchanged();
        slots.replace(SlotMap::of_one(server("a")));
        assert!(!watch.has_changed().unwrap() && !slots.has_left(&server("a")));
        slots.replace(SlotMap::of_one(server("b")));
        assert!(watch.has_changed().unwrap());
        slots.leaves(&server("a")).await;
        assert_eq!(slots.current().owner_of("any"), Some(&server("b")));
    }

    #[test]
    fn answers_are_counted_by_primary() {
        let slots = Slots::of_one(server("a"));
        for host in ["a", "b", "a"] {
            slots.count_answer(&server(host));
        }
        assert_eq!([slots.answers_of(&server("a")), slots.answers_of(&server("b"))], [2, 0]);
        slots.replace(SlotMap::of_one(server("b")));
        slots.count_answer(&server("b"));
        assert_eq!([slots.answers_of(&server("a")), slots.answers_of(&server("b"))], [0, 1]);
    }
}
