//! Values that end by themselves, as keys with a TTL do.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A map whose entries are gone from their deadline on. What has ended is swept out when the map has doubled since the last
/// sweep, so that the dead never outnumber the living for long.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    values: HashMap<K, Mortal<V>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Mortal<V> {
    ends: Instant,
    value: V,
}

impl<K: Hash + Eq, V> Expiring<K, V> {
    /// Keeps a value for `ttl`, in place of an older one.
    pub(super) fn insert(&mut self, key: K, value: V, ttl: Duration) {
        let now = Instant::now();
        self.sweep(now);
        let ends = now + ttl;
        self.values.insert(key, Mortal { ends, value });
    }

    /// The value, if it has not ended.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mortal = self.values.get(key)?;
        (mortal.ends > Instant::now()).then_some(&mortal.value)
    }

    /// All values that have not ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let now = Instant::now();
        let living = self.values.iter().filter(move |(_, mortal)| mortal.ends > now);
        living.map(|(key, mortal)| (key, &mortal.value))
    }

    /// The value, a new one where there is none or it has ended, with `ttl` to live from now.
    pub(super) fn renew_or(&mut self, key: K, ttl: Duration, make: impl Fn() -> V) -> &mut V {
        let now = Instant::now();
        self.sweep(now);
        let mortal = self.values.entry(key).or_insert_with(|| Mortal {
            ends: now + ttl,
            value: make(),
        });
        if mortal.ends <= now {
            mortal.value = make();
        }
        mortal.ends = now + ttl;
        &mut mortal.value
    }

    /// Takes the value out, if it has not ended.
    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mortal = self.values.remove(key)?;
        (mortal.ends > Instant::now()).then_some(mortal.value)
    }

    fn sweep(&mut self, now: Instant) {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|_, mortal| mortal.ends > now);
            self.sweep_at = (self.values.len() * 2).max(SMALL);
        }
    }
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            sweep_at: SMALL,
        }
    }
}

/// Below this many entries a sweep is not worth its while.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_value_is_gone_from_its_deadline_on() {
        let mut map = Expiring::default();
        map.insert("key", 1, MINUTE);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(map.get("key"), Some(&1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(map.get("key"), None);
        assert_eq!(*map.renew_or("key", Duration::ZERO, || 2), 2);
        assert_eq!(map.remove("key"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_dead_do_not_pile_up() {
        let mut map = Expiring::default();
        for key in 0..10_000 {
            map.insert(key, (), Duration::from_millis(1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(map.values.len() <= SMALL + 1, "{}", map.values.len());
    }
}
