//! Delivery of updates that a platform addresses to its own users, to the users who have linked those accounts.

use std::sync::Arc;

use futures_util::future::join_all;
use platforms::AddressedNotification;
use protocol::account::AccountType;
use protocol::id::UserId;
use store::{Deliveries, Delivery, DeliveryOutcome, StoreError};

use crate::outbox::OutboxRelay;
use crate::platform::notification;

/// Delivers addressed updates.
#[derive(Clone)]
pub(crate) struct Addressees {
    pub(crate) store: Arc<dyn Deliveries>,
    pub(crate) relay: Arc<OutboxRelay>,
}

impl Addressees {
    /// Stores and publishes these updates. A repeated delivery `id` delivers nothing, and an update that a sync has published is not
    /// published again. The accounts of the platform's users in `due` become due for a sync now.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was delivered, or the outcome is unknown.
    pub(crate) async fn deliver(
        &self,
        platform: AccountType,
        id: Option<&str>,
        addressed: &[AddressedNotification],
        due: &[String],
    ) -> Result<DeliveryOutcome, StoreError> {
        let addressees: Vec<String> = addressed.iter().map(|it| it.platform_user_id.clone()).collect();
        let events_for = |user: &UserId, addressee: &str| {
            let theirs = addressed.iter().filter(|it| it.platform_user_id == addressee);
            theirs
                .map(|it| notification(user, platform, it.notification.clone()))
                .collect()
        };
        let delivered = self
            .store
            .deliver(&Delivery {
                platform,
                id,
                addressees: &addressees,
                due,
                events_for: &events_for,
            })
            .await?;
        if let DeliveryOutcome::Delivered(users) = &delivered {
            join_all(users.iter().map(|user| self.relay.user(user))).await;
        }
        Ok(delivered)
    }
}
