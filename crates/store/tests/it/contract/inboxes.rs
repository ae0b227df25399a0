//! Inboxes of bots: read by one at a time, each from where the last one ended.

use std::time::Duration;

use protocol::account::AccountType;
use serde_json::json;
use store::{InboxLease, Store};
use testkit::wait;

super::kept_by_both_stores!(
    an_inbox_is_read_by_one_at_a_time_from_where_the_last_one_ended,
    an_inbox_is_left_alone_for_as_long_as_was_said_and_others_are_not,
    who_lost_its_turn_records_nothing,
);

const LONG: Duration = Duration::from_hours(1);

async fn take(store: &dyn Store, ttl: Duration) -> Option<InboxLease> {
    store.lease_inbox(AccountType::Telegram, ttl).await.unwrap()
}

async fn an_inbox_is_read_by_one_at_a_time_from_where_the_last_one_ended(store: &dyn Store) {
    let first = take(store, LONG).await.unwrap();
    assert_eq!(first.cursor, None);
    assert_eq!(take(store, LONG).await, None);
    let cursor = json!({ "next": 7 });
    assert!(store.finish_inbox(&first, Some(&cursor), Duration::ZERO).await.unwrap());
    let second = take(store, LONG).await.unwrap();
    assert_eq!(second.cursor.as_ref(), Some(&cursor));
    assert!(store.finish_inbox(&second, None, Duration::ZERO).await.unwrap());
    assert_eq!(
        take(store, LONG).await.unwrap().cursor,
        Some(cursor),
        "nothing new keeps it"
    );
}

async fn an_inbox_is_left_alone_for_as_long_as_was_said_and_others_are_not(store: &dyn Store) {
    let lease = take(store, LONG).await.unwrap();
    assert!(store.finish_inbox(&lease, None, LONG).await.unwrap());
    assert_eq!(take(store, LONG).await, None);
    let other = store.lease_inbox(AccountType::Discord, LONG).await.unwrap();
    assert!(other.is_some());
}

async fn who_lost_its_turn_records_nothing(store: &dyn Store) {
    let slow = take(store, Duration::from_millis(1)).await.unwrap();
    let other = wait::until("the lease to end", wait::deadline(), async || take(store, LONG).await).await;
    assert!(
        !store
            .finish_inbox(&slow, Some(&json!(1)), Duration::ZERO)
            .await
            .unwrap()
    );
    assert_eq!(take(store, LONG).await, None, "the other's turn lasts");
    assert!(
        store
            .finish_inbox(&other, Some(&json!(2)), Duration::ZERO)
            .await
            .unwrap()
    );
    assert_eq!(take(store, LONG).await.unwrap().cursor, Some(json!(2)));
}
