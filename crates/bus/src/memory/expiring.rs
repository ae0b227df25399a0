//! Map with a TTL per entry, as Redis keys have.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Map whose entries disappear at their expiry. Expired entries are swept when the map has doubled since the last sweep, so that
/// they never outnumber the live ones for long.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    values: HashMap<K, Expirable<V>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Expirable<V> {
    expires_at: Instant,
    value: V,
}

impl<K: Hash + Eq, V> Expiring<K, V> {
    /// Stores a value for `ttl`, replacing an older one.
    pub(super) fn insert(&mut self, key: K, value: V, ttl: Duration) {
        let now = Instant::now();
        self.sweep(now);
        let expires_at = now + ttl;
        self.values.insert(key, Expirable { expires_at, value });
    }

    /// Unexpired value of a key.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.values.get(key)?;
        (entry.expires_at > Instant::now()).then_some(&entry.value)
    }

    /// Unexpired value of a key, to be changed.
    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.values.get_mut(key)?;
        (entry.expires_at > Instant::now()).then_some(&mut entry.value)
    }

    /// All unexpired values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let now = Instant::now();
        let live = self.values.iter().filter(move |(_, entry)| entry.expires_at > now);
        live.map(|(key, entry)| (key, &entry.value))
    }

    /// Value of a key, a new one if missing or expired, with its TTL reset to `ttl`.
    pub(super) fn renew_or(&mut self, key: K, ttl: Duration, make: impl Fn() -> V) -> &mut V {
        let now = Instant::now();
        self.sweep(now);
        let entry = self.values.entry(key).or_insert_with(|| Expirable {
            expires_at: now + ttl,
            value: make(),
        });
        if entry.expires_at <= now {
            entry.value = make();
        }
        entry.expires_at = now + ttl;
        &mut entry.value
    }

    /// Removes and returns an unexpired value.
    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.values.remove(key)?;
        (entry.expires_at > Instant::now()).then_some(entry.value)
    }

    fn sweep(&mut self, now: Instant) {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|_, entry| entry.expires_at > now);
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

/// Size below which the map is not swept.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn value_disappears_at_its_expiry() {
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
    async fn expired_entries_do_not_accumulate() {
        let mut map = Expiring::default();
        for key in 0..10_000 {
            map.insert(key, (), Duration::from_millis(1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(map.values.len() <= SMALL + 1, "{}", map.values.len());
    }
}
