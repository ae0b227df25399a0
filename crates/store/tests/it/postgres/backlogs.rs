//! Measurements of backlogs read an index of their own, however large the tables are.

use store::{Outbox, TaskQueue};
use testkit::postgres::Database;
use testkit::wait;

use crate::database::{migrated_database, store_at};

/// Number of scans: of this index, and sequential ones of this table.
async fn scans(database: &Database, index: &str, table: &str) -> [u64; 2] {
    let scans = format!(
        "SELECT (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}') || ' ' || seq_scan \
         FROM pg_stat_user_tables WHERE relname = '{table}'"
    );
    let scans = database.sql(&scans).await.remove(0);
    let (by_index, sequential) = scans.split_once(' ').unwrap();
    [by_index.parse().unwrap(), sequential.parse().unwrap()]
}

/// Runs `measure`, and asserts that it scans the index and never the whole table.
async fn assert_scans_index(database: &Database, index: &str, table: &str, measure: impl AsyncFnOnce()) {
    let [by_index, sequential] = scans(database, index, table).await;
    measure().await;
    // The server reports the scans of a transaction some time after its end.
    wait::until_true("the scan to be reported", wait::deadline(), async || {
        scans(database, index, table).await[0] > by_index
    })
    .await;
    assert_eq!(scans(database, index, table).await[1], sequential);
}

#[tokio::test]
async fn measurement_of_the_outbox_reads_only_unsent_events() {
    let database = migrated_database().await;
    database
        .sql(
            "INSERT INTO outbox (user_id, event_id, envelope, sent_at) \
             SELECT 'GEN-001', 'event ' || number, '{}', CASE WHEN number > 3 THEN now() END \
             FROM generate_series(1, 20000) AS number",
        )
        .await;
    database.sql("ANALYZE outbox").await;
    let store = store_at(&database.url()).await;
    assert_scans_index(&database, "outbox_unsent_by_age", "outbox", async || {
        assert_eq!(store.outbox_backlog().await.unwrap().events, 3);
    })
    .await;
}

#[tokio::test]
async fn count_of_dead_tasks_reads_only_those() {
    let database = migrated_database().await;
    database
        .sql(
            "INSERT INTO tasks (kind, user_id, account_type, platform_user_id, access_token, scope, dead_at) \
             SELECT 'revocation', 'GEN-001', 'github', number::text, '\\x00', 'grant', \
             CASE WHEN number <= 2 THEN now() END FROM generate_series(1, 20000) AS number",
        )
        .await;
    database.sql("ANALYZE tasks").await;
    let store = store_at(&database.url()).await;
    assert_scans_index(&database, "tasks_dead", "tasks", async || {
        assert_eq!(store.dead_tasks().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn counts_of_backlogs_are_bounded() {
    let database = migrated_database().await;
    database
        .sql(
            "INSERT INTO outbox (user_id, event_id, envelope) \
             SELECT 'GEN-001', 'event ' || number, '{}' FROM generate_series(1, 10001) AS number",
        )
        .await;
    let store = store_at(&database.url()).await;
    assert_eq!(store.outbox_backlog().await.unwrap().events, 10_000);
}
