//! What keeps a user's access safe: confirmations, the end of all access at once, alerts, and the devices that users come with.

mod alerts;
mod arrival;
mod confirmation;
mod joined;
mod revoke_all;

use std::sync::Arc;

use bus::{Challenges, Hints};
use lifecycle::{Clock, Entropy};
use protocol::time::Timestamp;
use store::Store;

use crate::outbox::Relay;

pub(crate) use alerts::AcknowledgeError;

/// Does these commands; each is a method in the file of its name.
pub(crate) struct SecurityService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) challenges: Arc<dyn Challenges>,
    pub(crate) hints: Arc<dyn Hints>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl SecurityService {
    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }
}
