//! Contract of finished syncs.

use std::time::Duration;

use protocol::account::{AccountStatus, AccountType};
use protocol::time::Timestamp;
use serde_json::json;
use store::{FinishedSync, LeasedSync, PreviousAnswer, Store, StoreError, SyncLease, SyncLeaseOutcome, SyncOutcome};

use crate::recorder::relayed;
use crate::sample::{actor, encrypted, event, job, late_receipt, link, receipt, session, sync, unlink, user};

super::kept_by_both_stores!(
    sync_is_stored_with_its_cursor,
    sync_without_cursor_keeps_the_old_one,
    sync_of_a_relinked_account_writes_nothing,
    sync_of_an_unlinked_and_relinked_account_writes_nothing,
    event_with_a_known_id_is_skipped,
    repeated_sync_returns_its_first_answer,
    scheduled_sync_stores_no_answer,
    sync_after_its_deadline_is_not_stored,
    sync_start_is_published_while_its_lease_is_valid,
);

/// Links GitHub account 7 and leases it.
async fn linked(store: &dyn Store) -> SyncLease {
    let mut link = link("GEN-001", "7");
    link.events.clear();
    store.link_account(&link, &receipt("link")).await.unwrap();
    lease(store).await
}

async fn lease(store: &dyn Store) -> SyncLease {
    taken(store).await.lease
}

/// Lease of GEN-001's GitHub account, which is free.
pub(super) async fn taken(store: &dyn Store) -> LeasedSync {
    let taking = store
        .lease_sync(
            (&user("GEN-001"), &session()),
            AccountType::Github,
            Duration::from_secs(3_600),
        )
        .await;
    match taking.unwrap() {
        SyncLeaseOutcome::Leased(taken) => *taken,
        other => panic!("{other:?}"),
    }
}

async fn sync_is_stored_with_its_cursor(store: &dyn Store) {
    let lease = linked(store).await;
    let before = store.accounts(&user("GEN-001")).await.unwrap();
    let mut synced = sync(&lease, "7", &["event 1", "event 2"]);
    synced.cursor = Some(json!({"since": "2026-11-23", "seen": [1, 2]}));
    synced.account.status = AccountStatus::Error;
    synced.account.username = "renamed".to_owned();
    synced.account.scopes = vec!["read:user".to_owned()];
    synced.account.last_synced = Some(Timestamp::from_millis(1_795_451_999_001));
    synced.account.error_message = Some("too slow".to_owned());
    synced.account.connected_at = Timestamp::from_millis(1);
    let written = store.finish_sync(&synced, Some(&receipt("1"))).await.unwrap();
    assert_eq!(written, SyncOutcome::Stored);

    let after = store
        .credentials(&user("GEN-001"), AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    synced.account.connected_at = before[0].connected_at;
    assert_eq!(after.account, synced.account);
    assert_eq!(after.cursor, synced.cursor);
    assert_eq!(relayed(store, &user("GEN-001")).await, ["event 1", "event 2"]);
}

async fn sync_without_cursor_keeps_the_old_one(store: &dyn Store) {
    let lease = linked(store).await;
    for (number, cursor) in [("1", Some(json!(17))), ("2", None)] {
        let synced = FinishedSync {
            cursor,
            ..sync(&lease, "7", &[])
        };
        store.finish_sync(&synced, Some(&receipt(number))).await.unwrap();
    }
    let after = store
        .credentials(&user("GEN-001"), AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.cursor, Some(json!(17)));
}

async fn sync_of_a_relinked_account_writes_nothing(store: &dyn Store) {
    let old = linked(store).await;
    store
        .link_account(&link("GEN-001", "7"), &receipt("again"))
        .await
        .unwrap();
    let mut late = sync(&old, "7", &["event"]);
    late.account.username = "stale".to_owned();
    let written = store.finish_sync(&late, Some(&receipt("1"))).await.unwrap();
    assert_eq!(written, SyncOutcome::Superseded);
    assert_eq!(store.accounts(&user("GEN-001")).await.unwrap()[0].username, "name of 7");
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 linked 7"]);
}

async fn sync_of_an_unlinked_and_relinked_account_writes_nothing(store: &dyn Store) {
    let old = linked(store).await;
    store
        .unlink_account(&unlink("GEN-001"), &receipt("unlink"))
        .await
        .unwrap();
    let late = sync(&old, "7", &["event"]);
    let while_unlinked = store.finish_sync(&late, Some(&receipt("1"))).await.unwrap();
    store
        .link_account(&link("GEN-001", "7"), &receipt("again"))
        .await
        .unwrap();
    let while_linked = store.finish_sync(&late, Some(&receipt("2"))).await.unwrap();
    assert_eq!(
        [while_unlinked, while_linked],
        [SyncOutcome::Superseded, SyncOutcome::Superseded]
    );
}

async fn event_with_a_known_id_is_skipped(store: &dyn Store) {
    let lease = linked(store).await;
    let first = sync(&lease, "7", &["event 1", "event 2", "event 2"]);
    store.finish_sync(&first, Some(&receipt("1"))).await.unwrap();
    assert_eq!(relayed(store, &user("GEN-001")).await, ["event 1", "event 2"]);
    let second = sync(&lease, "7", &["event 2", "event 3"]);
    store.finish_sync(&second, Some(&receipt("2"))).await.unwrap();
    assert_eq!(relayed(store, &user("GEN-001")).await, ["event 3"]);
}

async fn repeated_sync_returns_its_first_answer(store: &dyn Store) {
    let lease = linked(store).await;
    let synced = sync(&lease, "7", &["event"]);
    store.finish_sync(&synced, Some(&receipt("1"))).await.unwrap();
    let again = store.finish_sync(&synced, Some(&receipt("1"))).await.unwrap();
    assert_eq!(again, SyncOutcome::Repeated(encrypted("answer to 1")));
}

async fn sync_after_its_deadline_is_not_stored(store: &dyn Store) {
    let lease = linked(store).await;
    let synced = FinishedSync {
        cursor: Some(json!(17)),
        ..sync(&lease, "7", &["event"])
    };
    let late = store.finish_sync(&synced, Some(&late_receipt("1"))).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    let after = store
        .credentials(&user("GEN-001"), AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.cursor, None);
    assert!(relayed(store, &user("GEN-001")).await.is_empty());
}

async fn scheduled_sync_stores_no_answer(store: &dyn Store) {
    let lease = linked(store).await;
    let synced = sync(&lease, "7", &["event"]);
    assert_eq!(store.finish_sync(&synced, None).await.unwrap(), SyncOutcome::Stored);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert_eq!(relayed(store, &user("GEN-001")).await, ["event"]);
}

async fn sync_start_is_published_while_its_lease_is_valid(store: &dyn Store) {
    let owner = user("GEN-001");
    let first = linked(store).await;
    store.begin_sync(&first, &session(), &event("in time")).await.unwrap();
    store.finish_sync(&sync(&first, "7", &[]), None).await.unwrap();
    let second = lease(store).await;
    store
        .begin_sync(&first, &session(), &event("another's turn"))
        .await
        .unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    store.begin_sync(&second, &session(), &event("too late")).await.unwrap();
    assert_eq!(relayed(store, &owner).await, ["in time", "GEN-001 unlinked"]);
}
