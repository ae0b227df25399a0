//! Reads and changes of operators.

use std::time::Duration;

use futures_util::future::join_all;
use store::{
    Accounts, PgStore, RevokeScope, TaskFilter, TaskOverview, TaskQueue, TaskRetryOutcome, TaskState, verify_audit,
};
use testkit::postgres::Schema;

use crate::database;
use crate::sample::{audit_keys, capacities, link, receipt, unlink, user, worker};

const OPERATORS: &str = "\u{a7}operators";
const LONG: Duration = Duration::from_secs(3_600);

/// Store with a task of `GEN-001` that was given up: the revocation of its GitHub account 7.
async fn dead_task() -> (Schema, PgStore, TaskOverview) {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    schema
        .sql("UPDATE tasks SET dead_at = now(), tries = 8, last_error = 'status 503'")
        .await;
    let task = tasks(&store, "list").await.remove(0);
    (schema, store, task)
}

async fn tasks(store: &PgStore, job: &str) -> Vec<TaskOverview> {
    let filter = TaskFilter {
        limit: 10,
        ..TaskFilter::default()
    };
    store.list_tasks(&filter, "tasks list", &receipt(job)).await.unwrap()
}

async fn retried(store: &PgStore, id: i64, job: &str) -> TaskOverview {
    match store.retry_task_now(id, &receipt(job)).await.unwrap() {
        TaskRetryOutcome::Due(task) => task,
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn dead_task_is_due_again_with_all_its_tries() {
    let (_schema, store, task) = dead_task().await;
    assert_eq!(
        (task.state, task.tries, task.scope),
        (TaskState::Dead, 8, RevokeScope::Grant)
    );
    let due = retried(&store, task.id, "retry").await;
    assert_eq!(
        (due.state, due.tries, due.scope),
        (TaskState::Waiting, 0, RevokeScope::Grant)
    );
    let leased = store.lease_tasks(&worker("w"), &capacities(1), LONG).await.unwrap();
    assert_eq!((leased[0].id.row, leased[0].tries), (task.id, 0));
    assert_eq!(store.dead_tasks().await.unwrap(), 0);
}

/// The grant of a revocation that was given up is one of the new link too.
#[tokio::test]
async fn retried_task_spares_the_grant_of_a_link_made_since() {
    let (_schema, store, task) = dead_task().await;
    store.link_account(&link("GEN-002", "7"), &receipt("3")).await.unwrap();
    assert_eq!(retried(&store, task.id, "retry").await.scope, RevokeScope::Token);
}

#[tokio::test]
async fn leased_task_is_not_retried_and_an_expired_lease_becomes_invalid() {
    let (schema, store, task) = dead_task().await;
    retried(&store, task.id, "retry").await;
    let lease = store
        .lease_tasks(&worker("w"), &capacities(1), LONG)
        .await
        .unwrap()
        .remove(0);
    let outcome = store.retry_task_now(task.id, &receipt("again")).await.unwrap();
    assert_eq!(outcome, TaskRetryOutcome::Leased);
    schema
        .sql("UPDATE tasks SET leased_until = now() - interval '1 second'")
        .await;
    retried(&store, task.id, "third").await;
    assert!(!store.finish_task(&lease.id).await.unwrap());
    let unknown = store.retry_task_now(task.id + 1, &receipt("unknown")).await.unwrap();
    assert_eq!(unknown, TaskRetryOutcome::Unknown);
}

#[tokio::test]
async fn commands_are_recorded_in_the_chain_of_their_user_or_of_operators() {
    let (schema, store, task) = dead_task().await;
    retried(&store, task.id, "retry").await;
    let (known, unknown) = (user("GEN-001"), user("GEN-404"));
    assert!(
        store
            .user_overview(&known, "users show", &receipt("3"))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .user_overview(&unknown, "users show", &receipt("4"))
            .await
            .unwrap()
            .is_none()
    );
    let rows = "SELECT user_id, seq, action, subject FROM audit WHERE action IN ('operator_command', 'task_retried') \
                ORDER BY user_id, seq";
    assert_eq!(
        schema.sql(rows).await,
        [
            "GEN-001\t3\ttask_retried\t",
            "GEN-001\t4\toperator_command\tusers show",
            "\u{a7}operators\t1\toperator_command\ttasks list",
            "\u{a7}operators\t2\toperator_command\tusers show GEN-404",
        ]
    );
    for (chain, rows) in [("GEN-001", 4), (OPERATORS, 2)] {
        assert_eq!(verify_audit(&store, &audit_keys(), chain, &[]).await.unwrap(), rows);
    }
}

#[tokio::test]
async fn concurrent_commands_keep_one_chain_of_operators() {
    let schema = database::migrated().await;
    let (one, other) = (database::store(&schema).await, database::store(&schema).await);
    for round in 0..5 {
        let commands = (0..16).map(async |number| {
            let store = if number % 2 == 0 { &one } else { &other };
            let receipt = receipt(&format!("{round} {number}"));
            store.record_operator_command(None, "jobs list", &receipt).await
        });
        for recorded in join_all(commands).await {
            recorded.unwrap();
        }
    }
    assert_eq!(verify_audit(&one, &audit_keys(), OPERATORS, &[]).await.unwrap(), 80);
}

#[tokio::test]
async fn user_overview_has_what_the_store_has() {
    let (schema, store, task) = dead_task().await;
    store.link_account(&link("GEN-001", "8"), &receipt("3")).await.unwrap();
    schema
        .sql(
            "INSERT INTO sessions (user_id, session_id, exp_at, ended_at, address) VALUES \
             ('GEN-001', 'live', now() + interval '1 hour', NULL, ''), ('GEN-001', 'over', now(), NULL, ''), \
             ('GEN-001', 'ended', now() + interval '1 hour', now(), ''); \
             INSERT INTO seen (user_id, kind, name) VALUES ('GEN-001', 'network', '192.0.2.0/24')",
        )
        .await;
    let shown = store.user_overview(&user("GEN-001"), "users show", &receipt("4")).await;
    let shown = shown.unwrap().unwrap();
    assert_eq!(shown.accounts[0].account.platform_user_id, "8");
    assert_eq!((shown.sessions.live, shown.sessions.ended), (1, 1));
    assert_eq!(
        (shown.seen[0].kind.as_str(), shown.seen[0].name.as_str()),
        ("network", "192.0.2.0/24")
    );
    assert_eq!(shown.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [task.id]);
    assert_eq!(shown.security.session_timeout, 30);
    assert!(shown.unsent_events > 0 && shown.audit_rows == 4, "{shown:?}");
}
