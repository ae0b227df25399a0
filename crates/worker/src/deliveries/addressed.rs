//! News that a platform addresses to users of its own, for whoever has linked them.

use std::sync::Arc;

use futures_util::future::join_all;
use platforms::AddressedNotification;
use protocol::account::AccountType;
use protocol::id::UserId;
use store::{Delivery, DeliveryOutcome, Store, StoreError};

use crate::outbox::Relay;
use crate::platform::notification;

/// Delivers addressed news.
#[derive(Clone)]
pub(crate) struct Addressees {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) relay: Arc<Relay>,
}

impl Addressees {
    /// Delivers these news, and publishes them. A delivery with an `id` that came before delivers nothing, and news that a sync has told of
    /// are not told again. The accounts of the platform's users in `due` are looked at as soon as can be.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was delivered, or nobody knows.
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
