//! Migrations of tables that are in use: no command waits long for a migration, and no index blocks writes while it is built.

use store::migrate;
use testkit::postgres::Schema;
use testkit::{Postgres, wait};

use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::database::{migrated_to, settings};

/// Event of a command that gives up after 2 s, as commands do.
const EVENT: &str = "SET lock_timeout = '2s'; \
                     INSERT INTO outbox (user_id, event_id, envelope) VALUES ('GEN-001', gen_random_uuid(), '{}')";

/// Revocation of a command that gives up after 2 s.
const TASK: &str = "SET lock_timeout = '2s'; \
                    INSERT INTO tasks (kind, user_id, account_type, platform_user_id, scope, access_token) \
                    VALUES ('revocation', 'GEN-001', 'github', '7', 'grant', '')";

/// Runs a statement in a transaction that ends after [`RELEASE`].
async fn keep(schema: &Schema, statement: &str) {
    let keep = format!("{statement}; DO $$BEGIN {WAIT_FOR_RELEASE} END$$");
    schema.sql(&keep).await;
}

async fn is_locked(schema: &Schema, table: &str, lock: &str) {
    let name = schema.name();
    let locks = format!("SELECT FROM pg_locks WHERE relation = '{name}.{table}'::regclass AND {lock}");
    wait::until_true(&format!("{lock} on {table}"), wait::deadline(), async || {
        !schema.sql(&locks).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn commands_pass_a_migration_that_waits_for_an_old_transaction() {
    // V21 creates an index of `outbox` in a transaction.
    let schema = migrated_to(20).await;
    schema.sql(RELEASABLE).await;
    let migrating = async {
        is_locked(&schema, "outbox", "mode = 'RowExclusiveLock' AND granted").await;
        migrate(&settings(&schema.owner_url()), &[]).await
    };
    let commands = async {
        // The second wait is the one of another attempt.
        for _ in 0..2 {
            is_locked(&schema, "outbox", "mode = 'ShareLock' AND NOT granted").await;
            schema.sql(EVENT).await;
        }
        schema.sql(RELEASE).await;
    };
    let (_, migrated, ()) = tokio::join!(keep(&schema, EVENT), migrating, commands);
    let applied = migrated.unwrap().applied;
    assert_eq!(applied[0], "V21__backlogs", "{applied:?}");
}

#[tokio::test]
async fn index_is_built_beside_commands_and_a_killed_build_is_repeated() {
    // A server of its own: the build of an index waits for all transactions of its database.
    let postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    let settings = settings(&schema.owner_url());
    migrate(&settings, &[]).await.unwrap();
    schema
        .sql(&format!("DROP INDEX tasks_by_user; {RELEASABLE}; {TASK}"))
        .await;
    let migrating = async {
        is_locked(&schema, "tasks", "mode = 'RowExclusiveLock' AND granted").await;
        migrate(&settings, &[]).await
    };
    // Longer than a migration waits for a lock.
    let waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY tasks_by_user %' \
                   AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '1 second'";
    let is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tasks_by_user')";
    let commands = async {
        let pid = wait::until("the build to wait for the transaction", wait::deadline(), async || {
            schema.sql(waiting).await.pop()
        });
        let pid = pid.await;
        schema.sql(TASK).await;
        schema.sql(&format!("SELECT pg_terminate_backend({pid})")).await;
        wait::until_true("the end of the build", wait::deadline(), async || {
            schema.sql(waiting).await.is_empty()
        })
        .await;
        assert_eq!(schema.sql(is_valid).await, ["f"]);
        schema.sql(RELEASE).await;
    };
    let (_, killed, ()) = tokio::join!(keep(&schema, TASK), migrating, commands);
    assert!(killed.is_err(), "{killed:?}");

    assert_eq!(migrate(&settings, &[]).await.unwrap().applied, ["tasks_by_user"]);
    assert_eq!(schema.sql(is_valid).await, ["t"]);
    assert!(migrate(&settings, &[]).await.unwrap().applied.is_empty());
}
