//! Admission control per address: the connect rate and the permits of pending connections. It applies to a new connection and to
//! another CONNECT on an open one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::client::Client;
use super::pending::{PendingConnections, PendingPermit};
use crate::metrics::{Metrics, RefusalReason};
use crate::rate::Limits;
use crate::settings::Rate;

/// Connect rates of all addresses, and the permits of pending connections. Clones share both.
#[derive(Clone)]
pub(crate) struct Admission {
    rate: Option<Arc<Mutex<Limits<IpAddr>>>>,
    pending: Arc<PendingConnections>,
}

impl Admission {
    /// Creates `pending` permits, and a connect rate per address, if any.
    pub(crate) fn new(rate: Option<Rate>, pending: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            pending: PendingConnections::new(pending, rate.is_some(), metrics),
            rate: rate.map(|rate| Arc::new(Mutex::new(Limits::new(rate, Instant::now())))),
        }
    }

    /// Charges the connect rate of an address ([`limited_address`](super::client::Client::limited_address)) and acquires a permit.
    /// Without an address only the total is limited.
    ///
    /// # Errors
    /// Limit that was reached.
    pub(crate) fn admit(&self, address: Option<IpAddr>, now: Instant) -> Result<PendingPermit, RefusalReason> {
        if let Some(address) = address {
            self.charge(address, now)?;
        }
        self.pending.acquire(address)
    }

    /// Applies the limits of an address to a permit that was acquired without one, once a proxy has named its client.
    ///
    /// # Errors
    /// Limit that was reached.
    pub(crate) fn identify(&self, permit: &PendingPermit, client: &Client, now: Instant) -> Result<(), RefusalReason> {
        match client.limited_address() {
            Some(address) if !permit.is_identified() => {
                self.charge(address, now)?;
                permit.identify(address)
            }
            _ => Ok(()),
        }
    }

    fn charge(&self, address: IpAddr, now: Instant) -> Result<(), RefusalReason> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.admit(&address, now).map_err(|_wait| RefusalReason::ConnectRate)
    }
}
