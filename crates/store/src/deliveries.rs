//! Addressed events: news of a platform for whoever has linked a user of it.

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use crate::StoreError;

/// What a platform says about users of its own, who are ours where they are linked.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Makes accounts due, and queues the events for all who have linked an addressee by now; an event whose id is known already is
    /// left out. Without a receipt: nobody asked.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<DeliveryOutcome, StoreError>;
}

/// Things that a platform tells of.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Which platform.
    pub platform: AccountType,
    /// The platform's own name for this delivery; one that comes again within a week delivers nothing. None: we have asked for
    /// these things, and keep count by a cursor.
    pub id: Option<&'a str>,
    /// Whom it is addressed to: the platform's ids of its users.
    pub addressees: &'a [String],
    /// Whose accounts are to be looked at now, if they are linked: the platform says that they are not what they were.
    pub due: &'a [String],
    /// What a user of ours hears who has linked this one of the platform's. The id of each event follows from what it tells of.
    pub events_for: &'a (dyn Fn(&UserId, &str) -> Vec<Envelope> + Send + Sync),
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It was new, and these users have something to hear.
    Delivered(Vec<UserId>),
    /// It came before; nothing was done.
    Repeated,
}
