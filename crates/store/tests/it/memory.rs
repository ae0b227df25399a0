//! Time-dependent behaviour of the embedded store, with a manual clock. (Postgres has a clock of its own.)

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lifecycle::{Clock, ManualClock};
use protocol::time::Timestamp;
use store::{
    Accounts, Alerts, Answers, MemoryStore, Outbox, PreviousAnswer, PrunedTable, Recognition, SessionOpenRequest,
    SessionRecords, TaskQueue,
};

use crate::contract::devices::returns;
use crate::contract::sessions::opening;
use crate::pruning::{TIMES, prune, prune_table};
use crate::recorder::{relayed, restored};
use crate::sample::{actor, alert, audit_keys, capacities, job, link, receipt, unlink, user, worker};

const HOUR: Duration = Duration::from_secs(3_600);

async fn store_with_a_sent_event() -> (Arc<ManualClock>, MemoryStore) {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + 365 * 24 * HOUR));
    let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock) as Arc<dyn Clock>, audit_keys());
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    relayed(&store, &user("GEN-001")).await;
    (clock, store)
}

#[tokio::test]
async fn answer_is_kept_for_its_retention_and_a_sent_event_for_a_day() {
    let (clock, store) = store_with_a_sent_event().await;
    clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(prune(&store).await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert_eq!(prune(&store).await, 1);
    clock.advance(23 * HOUR);
    assert_eq!(prune(&store).await, 1);
}

#[tokio::test]
async fn alert_is_kept_for_ninety_days() {
    let (clock, store) = store_with_a_sent_event().await;
    clock.advance(48 * HOUR);
    prune(&store).await;
    let (user, raised) = (user("GEN-001"), alert("GEN-001", "a"));
    store.raise_alert(&raised, &receipt("raised")).await.unwrap();
    relayed(&store, &user).await;
    clock.advance(90 * 24 * HOUR - Duration::from_millis(1));
    prune(&store).await;
    store.raise_alert(&raised, &receipt("raised")).await.unwrap();
    assert!(
        relayed(&store, &user).await.is_empty(),
        "its row outlives its event's id"
    );
    assert_eq!(store.alerts(&user, None).await.unwrap(), [raised]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(prune(&store).await, 1);
    assert!(store.alerts(&user, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_events_of_the_last_five_minutes_are_published_again() {
    let (clock, store) = store_with_a_sent_event().await;
    let user = user("GEN-001");
    let recent = async || {
        (
            store.users_with_recent_events(None, 9).await.unwrap().len(),
            restored(&store, &user).await.len(),
        )
    };
    clock.advance(Duration::from_secs(300));
    assert_eq!(recent().await, (1, 1));
    clock.advance(Duration::from_secs(1));
    assert_eq!(recent().await, (0, 0));
}

#[tokio::test]
async fn lease_and_delay_end_at_their_time() {
    let (clock, store) = store_with_a_sent_event().await;
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    let lease = async || {
        store
            .lease_tasks(&worker("w"), &capacities(1), HOUR)
            .await
            .unwrap()
            .pop()
    };
    lease().await.unwrap();
    clock.advance(HOUR - Duration::from_millis(1));
    assert!(lease().await.is_none());
    clock.advance(Duration::from_millis(1));
    let task = lease().await.unwrap();
    store.retry_task(&task.id, HOUR, "it was away").await.unwrap();
    clock.advance(HOUR - Duration::from_millis(1));
    assert!(lease().await.is_none());
    clock.advance(Duration::from_millis(1));
    assert!(lease().await.is_some());
}

#[tokio::test]
async fn device_expires_after_ninety_days_and_is_then_new() {
    let (clock, store) = store_with_a_sent_event().await;
    for (after, expected) in [
        (HOUR, Recognition::First),
        (90 * 24 * HOUR - HOUR, Recognition::Known),
        (90 * 24 * HOUR, Recognition::New),
    ] {
        clock.advance(after);
        prune(&store).await;
        let findings = returns(&store, "GEN-001").await;
        assert_eq!((findings.device, findings.network), (expected, expected), "{after:?}");
    }
}

#[tokio::test]
async fn expired_session_is_deleted_a_day_after_its_last_token_once_deadlines_are_saved() {
    let (clock, store) = store_with_a_sent_event().await;
    let opening = SessionOpenRequest {
        expires_at: Some(Timestamp::from(clock.now()).plus(2 * HOUR)),
        timeout: HOUR,
        ..opening("s-1", 0)
    };
    store.open_session(&opening, None).await.unwrap();
    let delete = async || prune_table(&store, PrunedTable::Sessions, &TIMES).await;
    clock.advance(26 * HOUR - Duration::from_millis(1));
    store.mark_deadlines_saved(26 * HOUR).await.unwrap();
    assert_eq!(delete().await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(delete().await, 0, "Redis may have a later deadline");
    store.mark_deadlines_saved(Duration::ZERO).await.unwrap();
    assert_eq!(delete().await, 1);
}
