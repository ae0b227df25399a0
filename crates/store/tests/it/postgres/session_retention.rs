//! Deletion of sessions by sweeps.

use store::{PruneOutcome, PruneStart, PrunedTable};
use testkit::postgres::Schema;
use testkit::{Postgres, wait};

use super::outage::RELEASABLE;
use super::retention::with_locked_rows;
use crate::database;
use crate::pruning::{TIMES, batch, prune_table};

const TABLE: PrunedTable = PrunedTable::Sessions;

/// Inserts `sessions` of a user, whose names begin with `name`, with these times relative to now; NULL where there is none.
async fn insert(schema: &Schema, (name, sessions): (&str, u32), [expires, ended, latest_expiry]: [Option<&str>; 3]) {
    let time = |time: Option<&str>| time.map_or("NULL".to_owned(), |time| format!("now() + interval '{time}'"));
    let (expires, ended, latest_expiry) = (time(expires), time(ended), time(latest_expiry));
    let insert = format!(
        "INSERT INTO users (user_id) VALUES ('GEN-001') ON CONFLICT DO NOTHING; \
         INSERT INTO sessions (user_id, session_id, opened_at, exp_at, ended_at, newest_exp, address) \
         SELECT 'GEN-001', '{name} ' || number, now() - interval '500 d', {expires}, {ended}, {latest_expiry}, '192.0.2.7' \
         FROM generate_series(1, {sessions}) AS number"
    );
    schema.sql(&insert).await;
}

/// Names of the remaining sessions, each with their number.
async fn remaining(schema: &Schema) -> Vec<String> {
    let count = "SELECT split_part(session_id, ' ', 1) || ' ' || count(*) FROM sessions \
                 GROUP BY split_part(session_id, ' ', 1) ORDER BY 1";
    schema.sql(count).await
}

#[tokio::test]
async fn session_is_deleted_when_its_tokens_and_its_retention_have_expired() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    for (name, times) in [
        ("deleted-expired", [Some("-25 h"), None, Some("-25 h")]),
        ("expired-today", [Some("-23 h"), None, Some("-25 h")]),
        ("expired-with-a-valid-token", [Some("-25 h"), None, Some("-23 h")]),
        (
            "deleted-expired-before-expiries-were-stored",
            [Some("-402 d"), None, None],
        ),
        ("expired-of-an-unknown-token", [Some("-399 d"), None, None]),
        ("deleted-ended", [Some("-450 d"), Some("-401 d"), Some("-401 d")]),
        ("ended-lately", [Some("-450 d"), Some("-399 d"), Some("-450 d")]),
        (
            "ended-with-a-later-token",
            [Some("-450 d"), Some("-450 d"), Some("-399 d")],
        ),
        ("live", [Some("1 h"), None, Some("-25 h")]),
    ] {
        insert(&schema, (name, 1), times).await;
    }
    let all = remaining(&schema).await;
    assert_eq!(
        prune_table(&store, TABLE, &TIMES).await,
        1,
        "no deadlines are saved: only the ended one goes"
    );
    schema.sql("UPDATE session_deadlines SET copied_at = now()").await;
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 2);
    let kept: Vec<_> = all.into_iter().filter(|name| !name.starts_with("deleted")).collect();
    assert_eq!(remaining(&schema).await, kept);
}

#[tokio::test]
async fn sweep_reads_all_pages_and_the_same_ones_while_batches_are_full() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema.sql("UPDATE session_deadlines SET copied_at = now()").await;
    insert(&schema, ("live", 6_000), [Some("1 h"), None, None]).await;
    insert(&schema, ("expired", 6_000), [Some("-25 h"), None, Some("-25 h")]).await;
    insert(&schema, ("ended", 6_000), [Some("-450 d"), Some("-401 d"), None]).await;
    let first = batch(&store, (TABLE, PruneStart::First), 50).await;
    assert_eq!(
        first,
        PruneOutcome::Pruned {
            rows: 0,
            is_last: false
        },
        "the first pages are live"
    );
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 12_000);
    assert_eq!(remaining(&schema).await, ["live 6000"]);
    let again = batch(&store, (TABLE, PruneStart::IfDue), 50).await;
    assert_eq!(again, PruneOutcome::NotDue, "once a day");
}

#[tokio::test]
async fn session_that_is_reopened_meanwhile_is_not_deleted() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema.sql("UPDATE session_deadlines SET copied_at = now()").await;
    schema.sql(RELEASABLE).await;
    insert(&schema, ("expired", 2), [Some("-25 h"), None, Some("-25 h")]).await;
    let reopen = "UPDATE sessions SET exp_at = now() + interval '1 h' WHERE session_id = 'expired 1'; \
                  SELECT FROM sessions WHERE session_id = 'expired 1'";
    with_locked_rows(&schema, (reopen, "sessions"), async || {
        let outcome = batch(&store, (TABLE, PruneStart::First), 50).await;
        assert_eq!(outcome, PruneOutcome::Pruned { rows: 1, is_last: true });
    })
    .await;
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 0);
    assert_eq!(schema.sql("SELECT session_id FROM sessions").await, ["expired 1"]);
}

/// A sweep that read the whole table with each batch would take the square of the time.
#[tokio::test]
async fn batch_of_a_sweep_reads_its_own_pages_alone() {
    let postgres = Postgres::start_explaining().await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    insert(&schema, ("live", 20_000), [Some("1 h"), None, None]).await;
    let users = "INSERT INTO users (user_id) SELECT number::text FROM generate_series(1, 20000) AS number; \
                 ANALYZE users, sessions";
    schema.sql(users).await;
    let store = database::store(&schema).await;
    for (table, name) in [(TABLE, "sessions"), (PrunedTable::Users, "users")] {
        batch(&store, (table, PruneStart::First), 10).await;
        let scan = format!("Tid Range Scan on {name}");
        wait::until_true("the plan of a batch", wait::deadline(), async || {
            postgres.log().contains(&scan)
        })
        .await;
    }
}
