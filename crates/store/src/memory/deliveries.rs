//! Webhook deliveries.

use async_trait::async_trait;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::deliveries::{Deliveries, Delivery, DeliveryOutcome};

#[async_trait]
impl Deliveries for MemoryStore {
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<DeliveryOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        if let Some(id) = delivery.id {
            let key = (delivery.platform.as_str(), id.to_owned());
            if state.deliveries.contains_key(&key) {
                return Ok(DeliveryOutcome::Repeated);
            }
            state.deliveries.insert(key, now);
        }
        let State { accounts, syncs, .. } = &mut *state;
        for (key, linked) in accounts
            .iter()
            .filter(|((_, platform), _)| *platform == delivery.platform.as_str())
        {
            if delivery.due.contains(&linked.account.platform_user_id)
                && let Some(sync_row) = syncs.get_mut(key)
            {
                sync_row.next_sync_at = sync_row.next_sync_at.min(now);
            }
        }
        let linked = state.accounts.iter().filter(|((_, platform), linked)| {
            *platform == delivery.platform.as_str() && delivery.addressees.contains(&linked.account.platform_user_id)
        });
        let linked = linked.map(|((user, _), linked)| (user.clone(), linked.account.platform_user_id.clone()));
        let linked: Vec<_> = linked.collect();
        let mut notified = Vec::new();
        for (user, platform_user_id) in linked {
            if state.send(&user, &(delivery.events_for)(&user, &platform_user_id), now) > 0 {
                notified.push(user);
            }
        }
        Ok(DeliveryOutcome::Delivered(notified))
    }
}
