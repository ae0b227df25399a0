//! Syncs, whether a client asks for one or an account's time has come: there is one way to do both, and whoever goes it has the
//! account's turn.
//!
//! [`attempt`] is that way; it may need new tokens ([`refresh`]) or find that the link is lost ([`mark_disconnected`]). [`schedule`] looks for
//! accounts that are due.

mod attempt;
mod failure;
mod lease;
mod mark_disconnected;
mod outcome;
mod refresh;
mod schedule;

use std::sync::Arc;

use lifecycle::{Clock, Entropy, Tasks};
use protocol::time::Timestamp;
use store::Store;
use store::vault::Vault;

use crate::metrics::Metrics;
use crate::outbox::Relay;
use crate::platform::Offered;

pub(crate) use failure::SyncFailure;
pub(crate) use lease::TakeError;
pub(crate) use schedule::Schedule;

/// Syncs accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Syncer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) offered: Offered,
    pub(crate) vault: Arc<Vault>,
    pub(crate) relay: Arc<Relay>,
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
