//! Syncs of linked accounts, requested by a client or scheduled. Both run under the account's [`lease`].
//!
//! [`attempt`] reads the platform; it may refresh the tokens first ([`refresh_before_expiry`], [`refresh`]) or find that the platform
//! has ended the link ([`mark_disconnected`]). [`outcome`] stores the result. [`schedule`] leases the accounts that are due.

mod attempt;
#[cfg(test)]
pub(crate) mod error_chains;
mod failure;
mod lease;
mod mark_disconnected;
mod outcome;
mod refresh;
mod refresh_before_expiry;
mod schedule;

use std::sync::Arc;

use lifecycle::{Clock, Entropy, Tasks};
use protocol::time::Timestamp;
use store::vault::Vault;
use store::{Accounts, Refreshes, Syncs};

use crate::metrics::Metrics;
use crate::outbox::OutboxRelay;
use crate::platform::Offered;

pub(crate) use failure::SyncFailure;
pub(crate) use lease::LeaseError;
pub(crate) use schedule::Schedule;

/// Syncs accounts. Clones share all parts.
#[derive(Clone)]
pub(crate) struct Syncer {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) syncs: Arc<dyn Syncs>,
    pub(crate) refreshes: Arc<dyn Refreshes>,
    pub(crate) offered: Offered,
    pub(crate) vault: Arc<Vault>,
    pub(crate) relay: Arc<OutboxRelay>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl Syncer {
    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }
}
