//! Deletion of users without anything.

use store::{Accounts, LinkOutcome, PgStore, PruneOutcome, PruneStart, PrunedTable, SessionRecords};
use testkit::postgres::Schema;

use super::outage::RELEASABLE;
use super::retention::with_locked_rows;
use crate::database;
use crate::pruning::{TIMES, batch, prune_table};
use crate::sample::{link, receipt, session, user};

const TABLE: PrunedTable = PrunedTable::Users;

async fn store() -> (Schema, PgStore) {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    (schema, store)
}

#[tokio::test]
async fn only_a_user_without_anything_is_deleted() {
    let (schema, store) = store().await;
    let things = [
        "sessions (user_id, session_id, exp_at, address) VALUES ('session', 's', now(), '')",
        "security (user_id, session_timeout) VALUES ('security', 30)",
        "seen (user_id, kind, name) VALUES ('seen', 'device', 'd')",
        "outbox (user_id, event_id, envelope) VALUES ('unsent', 'e', '')",
        "outbox (user_id, event_id, envelope, sent_at) VALUES ('deleted-sent', 'f', '', now())",
    ];
    let users = "('deleted'), ('session'), ('security'), ('seen'), ('unsent'), ('deleted-sent')";
    schema.sql(&format!("INSERT INTO users (user_id) VALUES {users}")).await;
    for thing in things {
        schema.sql(&format!("INSERT INTO {thing}")).await;
    }
    let ended = "INSERT INTO users (user_id, sessions_ended_at, sessions_end_unconfirmed) VALUES \
                 ('deleted-ended', now() - interval '401 d', false), ('ended', now() - interval '399 d', false), \
                 ('unconfirmed', now() - interval '401 d', true)";
    schema.sql(ended).await;
    // An account, with an audit row; then only the audit row.
    store.link_account(&link("audited", "7"), &receipt("1")).await.unwrap();
    store.link_account(&link("linked", "8"), &receipt("2")).await.unwrap();
    schema
        .sql("DELETE FROM accounts WHERE user_id = 'audited'; UPDATE outbox SET sent_at = now() WHERE user_id = 'audited'")
        .await;
    assert_eq!(prune_table(&store, TABLE, &TIMES).await, 3);
    assert_eq!(
        schema
            .sql("SELECT user_id FROM users ORDER BY user_id COLLATE \"C\"")
            .await,
        [
            "audited",
            "ended",
            "linked",
            "security",
            "seen",
            "session",
            "unconfirmed",
            "unsent"
        ]
    );
}

#[tokio::test]
async fn user_whose_row_a_transaction_has_locked_is_kept() {
    let (schema, store) = store().await;
    schema.sql(RELEASABLE).await;
    schema
        .sql("INSERT INTO users (user_id) VALUES ('GEN-001'), ('GEN-002')")
        .await;
    let rows = ("SELECT FROM users WHERE user_id = 'GEN-001'", "users");
    with_locked_rows(&schema, rows, async || {
        let outcome = batch(&store, (TABLE, PruneStart::First), 50).await;
        assert_eq!(outcome, PruneOutcome::Pruned { rows: 1, is_last: true });
    })
    .await;
    assert_eq!(schema.sql("SELECT user_id FROM users").await, ["GEN-001"]);
}

#[tokio::test]
async fn users_are_deleted_beside_writers_who_lock_them() {
    let (schema, store) = store().await;
    let other = database::store(&schema).await;
    let prune = async {
        for _ in 0..100 {
            prune_table(&other, TABLE, &TIMES).await;
        }
    };
    let write = async |writer: &str| {
        for number in 0..50 {
            // Locks the user, whose row has nothing else.
            let counted = store.count_factor_failure(&user("GEN-001"), &session()).await;
            assert_eq!(counted.unwrap(), 0);
            let name = format!("{writer}-{number}");
            let linked = store.link_account(&link(&name, &name), &receipt(&name)).await;
            assert_eq!(linked.unwrap(), LinkOutcome::Linked);
        }
    };
    tokio::join!(prune, write("a"), write("b"));
    assert_eq!(schema.sql("SELECT count(*) FROM accounts").await, ["100"]);
}
