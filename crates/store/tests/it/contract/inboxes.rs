//! Contract of inboxes: one reader at a time, each with the last cursor.

use std::time::Duration;

use protocol::account::AccountType;
use serde_json::json;
use store::{InboxLease, Store};
use testkit::wait;

super::kept_by_both_stores!(
    inbox_is_leased_to_one_reader_with_the_last_cursor,
    delayed_inbox_is_not_leased_and_others_are,
    reader_with_a_lost_lease_records_nothing,
);

const LONG: Duration = Duration::from_hours(1);

async fn take(store: &dyn Store, ttl: Duration) -> Option<InboxLease> {
    store.lease_inbox(AccountType::Telegram, ttl).await.unwrap()
}

async fn inbox_is_leased_to_one_reader_with_the_last_cursor(store: &dyn Store) {
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

async fn delayed_inbox_is_not_leased_and_others_are(store: &dyn Store) {
    let lease = take(store, LONG).await.unwrap();
    assert!(store.finish_inbox(&lease, None, LONG).await.unwrap());
    assert_eq!(take(store, LONG).await, None);
    let other = store.lease_inbox(AccountType::Discord, LONG).await.unwrap();
    assert!(other.is_some());
}

async fn reader_with_a_lost_lease_records_nothing(store: &dyn Store) {
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
