//! Contract of retention.

use std::time::Duration;

use protocol::account::AccountType;
use store::{PruneOutcome, PruneStart, PrunedTable, RetentionTimes, Store, verify_audit};
use testkit::wait;

use super::queue::leased_tasks;
use crate::pruning::{TIMES, batch, prune_table};
use crate::sample::{audit_keys, link, receipt, subject, unlink};

super::kept_by_both_stores!(
    each_table_is_pruned_when_due_and_at_once,
    task_that_was_given_up_is_deleted_after_its_retention_with_a_row_in_the_audit_log,
    task_that_waits_for_a_try_is_not_deleted,
);

async fn each_table_is_pruned_when_due_and_at_once(store: &dyn Store) {
    for table in PrunedTable::ALL {
        let outcome = batch(store, (table, PruneStart::First), 10).await;
        let nothing = PruneOutcome::Pruned { rows: 0, is_last: true };
        assert_eq!(outcome, nothing, "{table}");
        let again = batch(store, (table, PruneStart::IfDue), 10).await;
        assert_eq!(again, PruneOutcome::NotDue, "{table}");
        assert_eq!(batch(store, (table, PruneStart::Next), 10).await, nothing, "{table}");
        assert_eq!(PrunedTable::named(table.as_str()), Some(table));
    }
    let mut ages = store.prune_ages().await.unwrap();
    ages.sort();
    assert_eq!(
        ages.iter().map(|(table, _)| *table).collect::<Vec<_>>(),
        PrunedTable::ALL
    );
    assert!(ages.iter().all(|(_, age)| *age < wait::deadline()), "{ages:?}");
}

/// Queues the revocation of a link, and gives it up if `is_dead`.
async fn revocation(store: &dyn Store, is_dead: bool) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    store
        .unlink_account(&unlink("GEN-001"), &receipt("unlink"))
        .await
        .unwrap();
    for _ in 0..8 {
        let tasks = leased_tasks(store).await;
        let [task] = &tasks[..] else {
            panic!("the task is not leased: {tasks:?}");
        };
        assert!(store.retry_task(&task.id, Duration::ZERO, "it was away").await.unwrap());
        if !is_dead {
            return;
        }
    }
}

/// Deletes tasks as soon as they are given up.
const AT_ONCE: RetentionTimes = RetentionTimes {
    dead_tasks: Duration::ZERO,
    ..TIMES
};

async fn task_that_was_given_up_is_deleted_after_its_retention_with_a_row_in_the_audit_log(store: &dyn Store) {
    revocation(store, true).await;
    assert_eq!(store.dead_tasks().await.unwrap(), 1);
    assert_eq!(prune_table(store, PrunedTable::Tasks, &TIMES).await, 0);
    assert_eq!(store.dead_tasks().await.unwrap(), 1);
    assert_eq!(prune_table(store, PrunedTable::Tasks, &AT_ONCE).await, 1);
    assert_eq!(store.dead_tasks().await.unwrap(), 0);
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 10).await.unwrap();
    let last = rows.last().unwrap();
    let account = format!("{} 7", AccountType::Github);
    assert_eq!((last.action.as_str(), subject(last)), ("revocation_dropped", account));
    assert_eq!(verify_audit(store, &audit_keys(), "GEN-001", &[]).await.unwrap(), 3);
}

async fn task_that_waits_for_a_try_is_not_deleted(store: &dyn Store) {
    revocation(store, false).await;
    assert_eq!(prune_table(store, PrunedTable::Tasks, &AT_ONCE).await, 0);
    assert_eq!(leased_tasks(store).await.len(), 1);
}
