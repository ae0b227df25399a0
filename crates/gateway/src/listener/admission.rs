//! What an address must pass before one of its clients may be on its way in: with a new connection, or with another CONNECT on one
//! that it keeps.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::pending::{Pending, PendingPermit};
use crate::metrics::Metrics;
use crate::rate::Limits;
use crate::settings::Settings;

/// The rates of all addresses, and the permits. Clones share them.
#[derive(Clone)]
pub(crate) struct Admission {
    rate: Option<Arc<Mutex<Limits<IpAddr>>>>,
    pending: Arc<Pending>,
}

impl Admission {
    pub(super) fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let rate = settings.connect_rate;
        Self {
            pending: Pending::new(settings.pending_connections, rate.is_some(), metrics),
            rate: rate.map(|rate| Arc::new(Mutex::new(Limits::new(rate, Instant::now())))),
        }
    }

    /// Counts a client of this address, as [`rate_limit_address`](super::tcp::counted_as) has it, and gives it a permit.
    ///
    /// # Errors
    /// Metric label of the bound that is reached.
    pub(crate) fn admit(&self, address: IpAddr, now: Instant) -> Result<PendingPermit, &'static str> {
        if let Some(rate) = &self.rate {
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.admit(&address, now).map_err(|_wait| "connect_rate")?;
        }
        self.pending.acquire(address)
    }
}
