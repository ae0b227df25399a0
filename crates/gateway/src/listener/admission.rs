//! Admission control per address: the connect rate and the permits of pending connections. It applies to a new connection and to
//! another CONNECT on an open one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::pending::{PendingConnections, PendingPermit};
use crate::metrics::Metrics;
use crate::rate::Limits;
use crate::settings::Settings;

/// Connect rates of all addresses, and the permits of pending connections. Clones share both.
#[derive(Clone)]
pub(crate) struct Admission {
    rate: Option<Arc<Mutex<Limits<IpAddr>>>>,
    pending: Arc<PendingConnections>,
}

impl Admission {
    pub(super) fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let rate = settings.connect_rate;
        Self {
            pending: PendingConnections::new(settings.pending_connections, rate.is_some(), metrics),
            rate: rate.map(|rate| Arc::new(Mutex::new(Limits::new(rate, Instant::now())))),
        }
    }

    /// Charges the connect rate of an address (see [`rate_limit_address`](super::tcp::rate_limit_address)) and acquires a permit.
    ///
    /// # Errors
    /// Metric label of the limit that was reached.
    pub(crate) fn admit(&self, address: IpAddr, now: Instant) -> Result<PendingPermit, &'static str> {
        if let Some(rate) = &self.rate {
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.admit(&address, now).map_err(|_wait| "connect_rate")?;
        }
        self.pending.acquire(address)
    }
}
