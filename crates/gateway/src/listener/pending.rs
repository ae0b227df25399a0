//! Limits on pending connections, from accept to the verified token, in total and per address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Metrics, RefusalReason};

/// Permits of connections without a verified token. There are at most as many counted addresses as permits.
pub(crate) struct PendingConnections {
    limit: usize,
    per_address: Option<usize>,
    /// Maximum number of concurrent handshake computations per address.
    handshakes_per_address: usize,
    counts: Mutex<PendingCounts>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct PendingCounts {
    total: usize,
    by_address: HashMap<IpAddr, AddressCount>,
}

/// Pending connections of one address.
struct AddressCount {
    count: usize,
    handshakes: Arc<Semaphore>,
}

/// Permit of one pending connection. Dropping it releases it.
pub(crate) struct PendingPermit {
    pending: Arc<PendingConnections>,
    counted: Mutex<Option<CountedAddress>>,
}

/// Address under which a pending connection counts.
struct CountedAddress {
    address: IpAddr,
    handshakes: Arc<Semaphore>,
}

impl PendingPermit {
    /// Acquires a concurrency permit for the expensive part of a TLS handshake, first come, first served among the connections of one
    /// address. Without it, a burst of handshakes from one address would delay all other handshakes in the runtime's queue. Returns
    /// `None` without a limit per address, where one address may be many clients.
    pub(super) async fn acquire_handshake(&self) -> Option<OwnedSemaphorePermit> {
        self.pending.per_address?;
        let handshakes = self.counted().as_ref().map(|counted| Arc::clone(&counted.handshakes))?;
        // The semaphore is never closed.
        handshakes.acquire_owned().await.ok()
    }

    /// Reports whether the permit counts under an address.
    pub(super) fn is_identified(&self) -> bool {
        self.counted().is_some()
    }

    /// Counts the permit under this address.
    ///
    /// # Errors
    /// Limit per address.
    pub(super) fn identify(&self, address: IpAddr) -> Result<(), RefusalReason> {
        let counted = self.pending.count(&mut self.pending.counts(), address)?;
        if let Some(before) = self.counted().replace(counted) {
            self.pending.counts().release(before.address);
        }
        Ok(())
    }

    fn counted(&self) -> MutexGuard<'_, Option<CountedAddress>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingConnections {
    /// Creates `limit` permits. With `limit_addresses`, one address gets at most a sixteenth of them.
    pub(crate) fn new(limit: usize, limit_addresses: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            per_address: limit_addresses.then(|| (limit / ADDRESSES).max(1)),
            // On more than one core, at least one is left to other addresses.
            handshakes_per_address: available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            counts: Mutex::default(),
            metrics,
        })
    }

    /// Acquires a permit for a connection from this address, or from a trusted proxy that has not named its client yet.
    ///
    /// # Errors
    /// Limit that was reached.
    pub(crate) fn acquire(self: &Arc<Self>, address: Option<IpAddr>) -> Result<PendingPermit, RefusalReason> {
        let mut counts = self.counts();
        // The limit per address comes first: its label then does not depend on other addresses.
        let is_full = counts.total >= self.limit;
        let counted = address.map(|address| self.count(&mut counts, address)).transpose()?;
        if is_full {
            if let Some(counted) = counted {
                counts.release(counted.address);
            }
            return Err(RefusalReason::PendingConnections);
        }
        counts.total += 1;
        self.metrics.pending(1);
        Ok(PendingPermit {
            pending: Arc::clone(self),
            counted: Mutex::new(counted),
        })
    }

    fn count(&self, counts: &mut PendingCounts, address: IpAddr) -> Result<CountedAddress, RefusalReason> {
        let count = counts.by_address.get(&address).map_or(0, |entry| entry.count);
        if self.per_address.is_some_and(|limit| count >= limit) {
            return Err(RefusalReason::PendingPerAddress);
        }
        let entry = counts.by_address.entry(address).or_insert_with(|| AddressCount {
            count: 0,
            handshakes: Arc::new(Semaphore::new(self.handshakes_per_address)),
        });
        entry.count += 1;
        Ok(CountedAddress {
            address,
            handshakes: Arc::clone(&entry.handshakes),
        })
    }

    fn counts(&self) -> MutexGuard<'_, PendingCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingCounts {
    fn release(&mut self, address: IpAddr) {
        if let Entry::Occupied(mut entry) = self.by_address.entry(address) {
            match entry.get().count {
                0 | 1 => drop(entry.remove()),
                count => entry.get_mut().count = count - 1,
            }
        }
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        let counted = self.counted().take();
        let mut counts = self.pending.counts();
        counts.total = counts.total.saturating_sub(1);
        if let Some(counted) = counted {
            counts.release(counted.address);
        }
        self.pending.metrics.pending(-1);
    }
}

/// Minimum number of addresses that can take all permits.
const ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use lifecycle::Tasks;

    use super::*;

    fn pending(limit: usize, limit_addresses: bool) -> Arc<PendingConnections> {
        let meter = telemetry::metrics::Metrics::new("test").meter();
        PendingConnections::new(limit, limit_addresses, Arc::new(Metrics::new(&meter, &Tasks::new())))
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn address_is_limited_to_a_sixteenth_until_permits_are_released() {
        let pending = pending(64, true);
        let mut permits: Vec<_> = (0..4)
            .map(|_| pending.acquire(Some(address(1))).ok().unwrap())
            .collect();
        assert_eq!(
            pending.acquire(Some(address(1))).err(),
            Some(RefusalReason::PendingPerAddress)
        );
        permits.pop();
        assert!(pending.acquire(Some(address(1))).is_ok());
        drop(permits);
        assert_eq!(
            pending.counts().by_address.len(),
            0,
            "the entry of an address without connections is removed"
        );
        assert_eq!(pending.counts().total, 0);
    }

    #[test]
    fn sixteen_addresses_can_exhaust_all_permits() {
        let pending = pending(64, true);
        let permits: Vec<_> = (0..64)
            .map(|n| pending.acquire(Some(address(n % 16))).ok().unwrap())
            .collect();
        assert_eq!(
            pending.acquire(Some(address(99))).err(),
            Some(RefusalReason::PendingConnections)
        );
        drop(permits);
        assert!(pending.acquire(Some(address(99))).is_ok());
    }

    #[test]
    fn without_per_address_limit_one_address_can_take_all_permits() {
        let pending = pending(5, false);
        let permits: Vec<_> = (0..5)
            .map(|_| pending.acquire(Some(address(1))).ok().unwrap())
            .collect();
        assert_eq!(
            pending.acquire(Some(address(1))).err(),
            Some(RefusalReason::PendingConnections)
        );
        assert_eq!(permits.len(), 5);
    }

    #[tokio::test]
    async fn handshakes_of_one_address_are_limited_and_delay_no_other_address() {
        let mut pending = Arc::into_inner(pending(64, true)).unwrap();
        pending.handshakes_per_address = 2;
        let pending = Arc::new(pending);
        let permits = [(); 3].map(|()| pending.acquire(Some(address(1))).ok().unwrap());
        let handshake = |at: usize| permits[at].acquire_handshake().now_or_never();
        let running = [handshake(0), handshake(1)];
        assert!(running.iter().all(Option::is_some));
        assert!(handshake(2).is_none());
        let other = pending.acquire(Some(address(2))).ok().unwrap();
        assert!(other.acquire_handshake().now_or_never().is_some());
        drop(running);
        assert!(handshake(2).is_some());
    }

    #[test]
    fn connection_without_address_counts_in_total_until_it_is_identified() {
        let pending = pending(32, true);
        let permits: Vec<_> = (0..32).map(|_| pending.acquire(None).ok().unwrap()).collect();
        assert_eq!(pending.acquire(None).err(), Some(RefusalReason::PendingConnections));
        let identified: Vec<_> = permits.iter().map(|permit| permit.identify(address(1))).collect();
        assert_eq!(identified[..2], [Ok(()), Ok(())]);
        assert!(
            identified[2..]
                .iter()
                .all(|refused| *refused == Err(RefusalReason::PendingPerAddress))
        );
        assert_eq!(
            pending.acquire(Some(address(1))).err(),
            Some(RefusalReason::PendingPerAddress)
        );
        drop(permits);
        let counts = pending.counts();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }

    #[test]
    fn fewer_than_sixteen_permits_allow_one_per_address() {
        let pending = pending(2, true);
        let _one = pending.acquire(Some(address(1))).ok().unwrap();
        assert_eq!(
            pending.acquire(Some(address(1))).err(),
            Some(RefusalReason::PendingPerAddress)
        );
        assert!(pending.acquire(Some(address(2))).is_ok());
    }
}
