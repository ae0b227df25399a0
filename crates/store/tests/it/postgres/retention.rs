//! Concurrent deletion of expired rows.

use store::{PruneOutcome, PruneStart, PrunedTable};
use testkit::postgres::Schema;
use testkit::wait;

use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::database;
use crate::pruning::{TIMES, batch, prune_table};

const TABLE: PrunedTable = PrunedTable::Answers;

/// Schema with this many expired answers.
async fn expired_answers(answers: u32) -> Schema {
    let schema = database::migrated().await;
    let insert = format!(
        "INSERT INTO answers (job_id, answer, expires_at) \
         SELECT number::text, '', now() - interval '1 h' FROM generate_series(1, {answers}) AS number"
    );
    schema.sql(&insert).await;
    schema.sql(RELEASABLE).await;
    schema
}

/// Locks the rows that a query finds in a table, does `meanwhile`, and releases them.
pub(super) async fn with_locked_rows(schema: &Schema, (rows, table): (&str, &str), meanwhile: impl AsyncFnOnce()) {
    let lock = format!("{rows} FOR UPDATE; DO $$BEGIN {WAIT_FOR_RELEASE} END$$");
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{}.{table}'::regclass AND mode = 'RowShareLock'",
        schema.name()
    );
    tokio::join!(schema.sql(&lock), async {
        let is_locked = async || schema.sql(&locked).await == ["1"];
        wait::until_true("the rows to be locked", wait::deadline(), is_locked).await;
        meanwhile().await;
        schema.sql(RELEASE).await;
    });
}

#[tokio::test]
async fn rows_that_another_transaction_locks_are_left_to_the_next_batch() {
    let schema = expired_answers(3).await;
    let store = database::store(&schema).await;
    let rows = ("SELECT FROM answers WHERE job_id = '2'", "answers");
    with_locked_rows(&schema, rows, async || {
        let outcome = batch(&store, (TABLE, PruneStart::First), 10).await;
        let two = PruneOutcome::Pruned { rows: 2, is_last: true };
        assert_eq!(outcome, two);
    })
    .await;
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 1);
}

#[tokio::test]
async fn table_that_another_process_prunes_is_busy_and_waits_for_nothing() {
    let schema = expired_answers(1).await;
    let store = database::store(&schema).await;
    let rows = (
        "SELECT FROM prune_progress WHERE pruned_table = 'answers'",
        "prune_progress",
    );
    with_locked_rows(&schema, rows, async || {
        let outcome = batch(&store, (TABLE, PruneStart::First), 10).await;
        assert_eq!(outcome, PruneOutcome::Busy);
        assert_eq!(prune_table(&store, PrunedTable::Alerts, &TIMES).await, 0);
    })
    .await;
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 1);
}

#[tokio::test]
async fn two_runs_at_once_delete_each_expired_row_once() {
    let schema = expired_answers(5_000).await;
    let (one, other) = (database::store(&schema).await, database::store(&schema).await);
    let keep = "INSERT INTO answers (job_id, answer, expires_at) VALUES ('kept', '', now() + interval '1 h')";
    schema.sql(keep).await;
    let (first, second) = tokio::join!(prune_table(&one, TABLE, &TIMES), prune_table(&other, TABLE, &TIMES));
    assert_eq!(first + second, 5_000);
    assert_eq!(schema.sql("SELECT job_id FROM answers").await, ["kept"]);
}

#[tokio::test]
async fn batch_deletes_no_more_rows_than_its_limit() {
    let schema = expired_answers(25).await;
    let store = database::store(&schema).await;
    for (rows, is_last) in [(10, false), (10, false), (5, true)] {
        let outcome = batch(&store, (TABLE, PruneStart::Next), 10).await;
        assert_eq!(outcome, PruneOutcome::Pruned { rows, is_last });
    }
}
