//! Webhook deliveries: a platform's notifications for the users who linked one of its accounts.

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use crate::StoreError;

/// Deliveries of a platform about its own users, addressed to those of ours who linked them.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Makes accounts due and queues events for every user who has linked an addressee; an event whose id is already known is
    /// skipped. There is no receipt, as no client asked.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<DeliveryOutcome, StoreError>;
}

/// Notifications that a platform delivered.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Platform.
    pub platform: AccountType,
    /// Delivery id of the platform; a repeat within a week has no effect. None if Postern asked for the notifications and tracks
    /// them by a cursor.
    pub id: Option<&'a str>,
    /// Addressees: the platform's ids of its users.
    pub addressees: &'a [String],
    /// Platform ids of users whose accounts are to be synced now if they are linked, because the platform reports a change.
    pub due: &'a [String],
    /// Events for a user who has linked this user of the platform. Event ids follow from the notifications.
    pub events_for: &'a (dyn Fn(&UserId, &str) -> Vec<Envelope> + Send + Sync),
}

/// Result of [`Deliveries::deliver`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The delivery is new; these users have events to receive.
    Delivered(Vec<UserId>),
    /// The delivery is a repeat; nothing changed.
    Repeated,
}
