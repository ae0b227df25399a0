//! Contract of deliveries: published once to users who linked an addressee.

use std::time::Duration;

use lifecycle::ManualClock;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use store::{Deliveries, Delivery, DeliveryOutcome, MemoryStore, Store};

use crate::pruning::prune;
use crate::recorder::relayed;
use crate::sample::{audit_keys, capacities, event, link, receipt, unlink, user};

super::kept_by_both_stores!(
    only_users_who_linked_an_addressee_receive_the_delivery,
    repeated_delivery_publishes_nothing,
    same_notification_in_two_deliveries_is_published_once,
    unlinked_user_receives_no_delivery,
    account_of_a_delivery_is_due_at_once,
);

/// One event for each addressee.
fn event_for(user: &UserId, addressee: &str) -> Vec<Envelope> {
    vec![event(&format!("{user} receives from {addressee}"))]
}

fn delivery<'a>(id: Option<&'a str>, addressees: &'a [String]) -> Delivery<'a> {
    Delivery {
        platform: AccountType::Github,
        id,
        addressees,
        due: &[],
        events_for: &event_for,
    }
}

fn to(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Links a GitHub account and relays its event.
async fn linked(store: &dyn Store, user_id: &str, platform_user_id: &str) -> UserId {
    let link = link(user_id, platform_user_id);
    store.link_account(&link, &receipt(user_id)).await.unwrap();
    relayed(store, &link.user).await;
    link.user
}

async fn only_users_who_linked_an_addressee_receive_the_delivery(store: &dyn Store) {
    let one = linked(store, "GEN-001", "7").await;
    let two = linked(store, "GEN-002", "7").await;
    let other = linked(store, "GEN-003", "8").await;
    let nobody = linked(store, "GEN-004", "9").await;

    let addressees = to(&["8", "7", "10"]);
    let delivered = store.deliver(&delivery(Some("d-1"), &addressees)).await.unwrap();
    assert_eq!(
        delivered,
        DeliveryOutcome::Delivered(vec![one.clone(), two.clone(), other.clone()])
    );
    assert_eq!(relayed(store, &one).await, ["GEN-001 receives from 7"]);
    assert_eq!(relayed(store, &two).await, ["GEN-002 receives from 7"]);
    assert_eq!(relayed(store, &other).await, ["GEN-003 receives from 8"]);
    assert!(relayed(store, &nobody).await.is_empty());

    let of_another_platform = Delivery {
        platform: AccountType::Discord,
        ..delivery(Some("d-1"), &addressees)
    };
    let delivered = store.deliver(&of_another_platform).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::Delivered(Vec::new()));
}

async fn repeated_delivery_publishes_nothing(store: &dyn Store) {
    let ada = linked(store, "GEN-001", "7").await;
    let (first, again) = (to(&["8"]), to(&["7"]));
    let delivered = store.deliver(&delivery(Some("d-1"), &first)).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::Delivered(Vec::new()));
    let delivered = store.deliver(&delivery(Some("d-1"), &again)).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::Repeated);
    assert!(relayed(store, &ada).await.is_empty());
    let delivered = store.deliver(&delivery(Some("d-2"), &again)).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::Delivered(vec![ada]));
}

async fn same_notification_in_two_deliveries_is_published_once(store: &dyn Store) {
    let ada = linked(store, "GEN-001", "7").await;
    let addressees = to(&["7"]);
    for (id, published) in [(Some("d-1"), 1), (Some("d-2"), 0), (None, 0)] {
        let delivered = store.deliver(&delivery(id, &addressees)).await.unwrap();
        assert_eq!(
            delivered,
            DeliveryOutcome::Delivered(vec![ada.clone(); published]),
            "{id:?}"
        );
        assert_eq!(relayed(store, &ada).await.len(), published, "{id:?}");
    }
}

async fn unlinked_user_receives_no_delivery(store: &dyn Store) {
    let ada = linked(store, "GEN-001", "7").await;
    store
        .unlink_account(&unlink("GEN-001"), &receipt("unlink"))
        .await
        .unwrap();
    relayed(store, &ada).await;
    let delivered = store.deliver(&delivery(None, &to(&["7"]))).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::Delivered(Vec::new()));
    assert!(relayed(store, &user("GEN-001")).await.is_empty());
}

async fn account_of_a_delivery_is_due_at_once(store: &dyn Store) {
    let ada = linked(store, "GEN-001", "7").await;
    linked(store, "GEN-002", "8").await;
    let due = async || {
        let taken = store
            .lease_due_syncs(&capacities(9), Duration::from_hours(1))
            .await
            .unwrap();
        taken.into_iter().map(|taken| taken.lease.user).collect::<Vec<_>>()
    };
    let subject = to(&["7"]);
    let delivery = Delivery {
        due: &subject,
        ..delivery(Some("d-1"), &[])
    };
    let elsewhere = Delivery {
        platform: AccountType::Discord,
        ..delivery
    };
    store.deliver(&elsewhere).await.unwrap();
    assert_eq!(due().await, []);
    store.deliver(&delivery).await.unwrap();
    assert_eq!(due().await, [ada]);
}

#[tokio::test]
async fn delivery_id_is_kept_for_a_week() {
    let clock = std::sync::Arc::new(ManualClock::new(std::time::SystemTime::UNIX_EPOCH));
    let store = MemoryStore::new(std::sync::Arc::<ManualClock>::clone(&clock), audit_keys());
    let none = Vec::new();
    let day = Duration::from_hours(24);
    for (wait, delivered) in [
        (Duration::ZERO, DeliveryOutcome::Delivered(Vec::new())),
        (day * 6, DeliveryOutcome::Repeated),
        (day, DeliveryOutcome::Delivered(Vec::new())),
    ] {
        clock.advance(wait);
        prune(&store).await;
        assert_eq!(store.deliver(&delivery(Some("d-1"), &none)).await.unwrap(), delivered);
    }
}
