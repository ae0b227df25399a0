//! Connections on their way in, from TCP to the token: how many there may be at once, in all and per address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::Metrics;

/// Permits for connections that have proven no caller yet. The addresses that are counted are no more than the permits.
pub(crate) struct Pending {
    limit: usize,
    per_address: Option<usize>,
    /// Handshakes of one address that are computed at once.
    computing: usize,
    held: Mutex<Held>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_address: HashMap<IpAddr, OfAddress>,
}

/// Connections of one address.
struct OfAddress {
    count: usize,
    computing: Arc<Semaphore>,
}

/// Permit of one connection. Dropping it gives it back.
pub(crate) struct PendingPermit {
    pending: Arc<Pending>,
    address: IpAddr,
    computing: Arc<Semaphore>,
}

impl PendingPermit {
    /// Turn of this connection among those of its address to compute the expensive part of a TLS handshake, first come, first served.
    /// Without turns, a burst of handshakes from one address would stand before everybody else's in the runtime's queue. None where
    /// one address may be many clients.
    pub(super) async fn computing(&self) -> Option<SemaphorePermit<'_>> {
        self.pending.per_address?;
        // Nobody closes the semaphore.
        self.computing.acquire().await.ok()
    }
}

impl Pending {
    /// `limit` permits, of which one address gets a sixteenth where addresses are `shared_out`.
    pub(crate) fn new(limit: usize, shared_out: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            per_address: shared_out.then(|| (limit / ADDRESSES).max(1)),
            // At least one core is left to everybody else, where there is more than one.
            computing: available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            held: Mutex::default(),
            metrics,
        })
    }

    /// Takes a permit for a connection from this address.
    ///
    /// # Errors
    /// Metric label of the bound that is reached.
    pub(crate) fn acquire(self: &Arc<Self>, address: IpAddr) -> Result<PendingPermit, &'static str> {
        let mut held = self.held();
        let of_address = held.by_address.get(&address).map_or(0, |of_address| of_address.count);
        // The address first: whether others have filled the rest makes no difference to it.
        if self.per_address.is_some_and(|most| of_address >= most) {
            return Err("pending_per_address");
        }
        if held.total >= self.limit {
            return Err("pending_connections");
        }
        held.total += 1;
        let of_address = held.by_address.entry(address).or_insert_with(|| OfAddress {
            count: 0,
            computing: Arc::new(Semaphore::new(self.computing)),
        });
        of_address.count += 1;
        let computing = Arc::clone(&of_address.computing);
        self.metrics.pending(1);
        Ok(PendingPermit {
            pending: Arc::clone(self),
            address,
            computing,
        })
    }

    fn release(&self, address: IpAddr) {
        let mut held = self.held();
        held.total = held.total.saturating_sub(1);
        if let Entry::Occupied(mut of_address) = held.by_address.entry(address) {
            match of_address.get().count {
                0 | 1 => drop(of_address.remove()),
                more => of_address.get_mut().count = more - 1,
            }
        }
        self.metrics.pending(-1);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        self.pending.release(self.address);
    }
}

/// So many addresses are needed to take all permits.
const ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use lifecycle::Tasks;

    use super::*;

    fn pending(limit: usize, shared_out: bool) -> Arc<Pending> {
        let meter = telemetry::metrics::Metrics::new("test").meter();
        Pending::new(limit, shared_out, Arc::new(Metrics::new(&meter, &Tasks::new())))
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn one_address_gets_a_sixteenth_and_gets_it_again_when_permits_are_returned() {
        let pending = pending(64, true);
        let mut permits: Vec<_> = (0..4).map(|_| pending.acquire(address(1)).ok().unwrap()).collect();
        assert_eq!(pending.acquire(address(1)).err(), Some("pending_per_address"));
        permits.pop();
        assert!(pending.acquire(address(1)).is_ok());
        drop(permits);
        assert_eq!(
            pending.held().by_address.len(),
            0,
            "an address without connections is forgotten"
        );
        assert_eq!(pending.held().total, 0);
    }

    #[test]
    fn sixteen_addresses_can_take_all_permits_and_no_fewer() {
        let pending = pending(64, true);
        let permits: Vec<_> = (0..64)
            .map(|n| pending.acquire(address(n % 16)).ok().unwrap())
            .collect();
        assert_eq!(pending.acquire(address(99)).err(), Some("pending_connections"));
        drop(permits);
        assert!(pending.acquire(address(99)).is_ok());
    }

    #[test]
    fn without_shares_one_address_may_take_all() {
        let pending = pending(5, false);
        let permits: Vec<_> = (0..5).map(|_| pending.acquire(address(1)).ok().unwrap()).collect();
        assert_eq!(pending.acquire(address(1)).err(), Some("pending_connections"));
        assert_eq!(permits.len(), 5);
    }

    #[tokio::test]
    async fn a_burst_from_one_address_computes_in_turns_and_holds_up_no_other_address() {
        let mut pending = Arc::into_inner(pending(64, true)).unwrap();
        pending.computing = 2;
        let pending = Arc::new(pending);
        let permits = [(); 3].map(|()| pending.acquire(address(1)).ok().unwrap());
        let computing = |at: usize| permits[at].computing().now_or_never();
        let turns = [computing(0), computing(1)];
        assert!(turns.iter().all(Option::is_some));
        assert!(computing(2).is_none());
        let other = pending.acquire(address(2)).ok().unwrap();
        assert!(other.computing().now_or_never().is_some());
        drop(turns);
        assert!(computing(2).is_some());
    }

    #[test]
    fn fewer_than_sixteen_permits_are_one_for_each_address() {
        let pending = pending(2, true);
        let _one = pending.acquire(address(1)).ok().unwrap();
        assert_eq!(pending.acquire(address(1)).err(), Some("pending_per_address"));
        assert!(pending.acquire(address(2)).is_ok());
    }
}
