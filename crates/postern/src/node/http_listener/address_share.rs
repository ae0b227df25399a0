//! Share of each address in the connections of a listener, so that one peer cannot take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of all addresses. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct AddressShares(Arc<Mutex<HashMap<IpAddr, AddressShare>>>);

#[derive(Debug, Default)]
struct AddressShare {
    connections: usize,
    /// True once a refusal of this address is logged; it is not again until all of its connections have ended.
    is_reported: bool,
}

/// Place of a connection in the share of its address, until it is dropped.
#[derive(Debug)]
pub(super) struct AddressPermit {
    shares: AddressShares,
    address: IpAddr,
}

impl AddressShares {
    /// Takes a place for a connection; none if the address has `max` of them.
    pub(super) fn take(&self, address: IpAddr, max: usize) -> Option<AddressPermit> {
        let mut shares = self.lock();
        let share = shares.entry(address).or_default();
        if share.connections >= max {
            if !std::mem::replace(&mut share.is_reported, true) {
                tracing::warn!(%address, max, "connections of one address at their limit, closing further ones");
            }
            return None;
        }
        share.connections += 1;
        Some(AddressPermit {
            shares: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, AddressShare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut shares = self.shares.lock();
        let Some(share) = shares.get_mut(&self.address) else {
            return;
        };
        share.connections -= 1;
        if share.connections == 0 {
            shares.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_above_its_share_is_refused_and_another_is_not() {
        let shares = AddressShares::default();
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let mut taken: Vec<_> = (0..3).map(|_| shares.take(one, 3)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.take(one, 3).is_none());
        assert!(shares.take(other, 3).is_some());
        taken.pop();
        assert!(shares.take(one, 3).is_some());
        drop(taken);
        assert!(shares.lock().is_empty());
    }
}
