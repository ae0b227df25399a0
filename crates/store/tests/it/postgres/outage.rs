//! Postgres stopped, hanging, cut off or slow: timely errors, and recovery.

use std::time::Duration;

use futures_util::future::join_all;
use store::{Accounts, LinkOutcome, StoreError, TaskQueue};
use testkit::{Postgres, Proxy, wait};
use tokio::time::Instant;

use crate::database::{self, open_all, store_at};
use crate::sample::{capacities, encrypted, link, receipt, user, worker};

/// Time limit of 2.5 s, with a margin for a busy machine.
const IN_TIME: Duration = Duration::from_secs(6);

/// SQL that waits for a row in the table `released`.
pub(super) const WAIT_FOR_RELEASE: &str = "FOR i IN 1..600 LOOP EXIT WHEN EXISTS (SELECT FROM released); \
                                PERFORM pg_sleep(0.1); END LOOP;";
pub(super) const RELEASABLE: &str = "CREATE TABLE released (row int); GRANT SELECT ON released TO PUBLIC";
pub(super) const RELEASE: &str = "INSERT INTO released VALUES (1)";

async fn is_unavailable<T: std::fmt::Debug>(asked: impl Future<Output = Result<T, StoreError>>) {
    let started = Instant::now();
    let answer = asked.await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    assert!(started.elapsed() < IN_TIME, "it took {:?}", started.elapsed());
}

/// Waits until the store answers again.
async fn recovers(store: &impl Accounts) {
    wait::until_true("the store to come back", wait::deadline(), async || {
        store.accounts(&user("GEN-001")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn stopped_postgres_is_reported_and_the_store_recovers() {
    let mut postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    let store = store_at(&schema.url()).await;
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();

    postgres.stop().await;
    is_unavailable(store.accounts(&user("GEN-001"))).await;
    is_unavailable(store.link_account(&link("GEN-002", "8"), &receipt("2"))).await;
    is_unavailable(store.lease_tasks(&worker("w"), &capacities(1), Duration::ZERO)).await;

    postgres.start_again().await;
    recovers(&store).await;
    assert_eq!(store.accounts(&user("GEN-001")).await.unwrap().len(), 1);
    let linked = store.link_account(&link("GEN-002", "8"), &receipt("2")).await;
    assert_eq!(linked.unwrap(), LinkOutcome::Linked);
}

#[tokio::test]
async fn commit_survives_a_crash_and_a_repeat_finds_it() {
    let postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    let store = store_at(&schema.url()).await;
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
    postgres.crash();
    wait::until_true("the loss of the connection", wait::deadline(), async || {
        postgres.scratch().logs().contains("all server processes terminated")
    })
    .await;
    recovers(&store).await;
    let repeated = store.link_account(&link, &receipt).await.unwrap();
    assert_eq!(repeated, LinkOutcome::Repeated(encrypted("answer to 1")));
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["1"]);
}

#[tokio::test]
async fn deadlock_victim_is_retried() {
    // A server of its own, as deadlocks are counted per server.
    let postgres = Postgres::start().await;
    // The transaction that detects the deadlock is cancelled: the store's after half a second, the other one's only after an
    // hour.
    postgres
        .sql("ALTER ROLE postern_worker SET deadlock_timeout = '500ms'")
        .await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    let store = store_at(&schema.url()).await;
    schema.sql("INSERT INTO users (user_id) VALUES ('GEN-001')").await;
    let other = "SET deadlock_timeout = '1h'; LOCK TABLE accounts IN EXCLUSIVE MODE; \
                 DO $$BEGIN FOR i IN 1..600 LOOP EXIT WHEN EXISTS \
                 (SELECT FROM pg_locks WHERE NOT granted AND relation = 'accounts'::regclass); \
                 PERFORM pg_sleep(0.01); END LOOP; END$$; \
                 SELECT FROM users WHERE user_id = 'GEN-001' FOR UPDATE";
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'ExclusiveLock' AND relation = '{}.accounts'::regclass",
        schema.name()
    );
    let linking = async {
        wait::until_true("the table to be locked", wait::deadline(), async || {
            schema.sql(&locked).await == ["1"]
        })
        .await;
        let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
        store.link_account(&link, &receipt).await
    };
    let (_, linked) = tokio::join!(schema.sql(other), linking);
    assert_eq!(linked.unwrap(), LinkOutcome::Linked);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    wait::until_true("the deadlock to be counted", wait::deadline(), async || {
        postgres.sql(deadlocks).await != ["0"]
    })
    .await;
}

/// A trigger raises the error of a full disk, as a really full disk would be the machine's.
#[tokio::test]
async fn full_disk_is_reported_and_leaves_nothing_half_done() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema
        .sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END$$; \
             CREATE TRIGGER full_disk BEFORE INSERT ON answers FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        .await;
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    is_unavailable(store.link_account(&link, &receipt)).await;
    schema.sql("DROP TRIGGER full_disk ON answers").await;
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["0"]);
    assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
}

#[tokio::test]
async fn hanging_postgres_times_out_and_its_connections_are_discarded() {
    let mut postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    let store = store_at(&schema.url()).await;
    // All connections are idle when the server hangs.
    open_all(&store).await;
    let owner = user("GEN-001");

    postgres.pause();
    is_unavailable(store.accounts(&owner)).await;
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    tokio::join!(
        is_unavailable(store.link_account(&link, &receipt)),
        is_unavailable(store.accounts(&owner)),
        is_unavailable(store.accounts(&owner)),
        is_unavailable(store.accounts(&owner)),
        // The fifth waits for a connection that is never returned.
        is_unavailable(store.accounts(&owner)),
    );
    postgres.resume();
    recovers(&store).await;
    assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
}

#[tokio::test]
async fn half_open_connection_costs_one_timeout_and_is_replaced() {
    let schema = database::migrated().await;
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let store = store_at(&schema.url_through(proxy.addr())).await;
    store.accounts(&user("GEN-001")).await.unwrap();
    proxy.freeze();
    is_unavailable(store.accounts(&user("GEN-001"))).await;
    proxy.thaw();
    recovers(&store).await;
    assert!(proxy.connections() >= 2, "the hung connection was used again");
}

#[tokio::test]
async fn commit_with_a_lost_answer_is_unknown_and_a_repeat_finds_it() {
    let schema = database::migrated().await;
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let store = store_at(&schema.url_through(proxy.addr())).await;
    proxy.lose_answer_to("COMMIT");
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    let lost = store.link_account(&link, &receipt).await;
    assert!(matches!(lost, Err(StoreError::Unknown { .. })), "{lost:?}");

    let repeated = store.link_account(&link, &receipt).await.unwrap();
    assert_eq!(repeated, LinkOutcome::Repeated(encrypted("answer to 1")));
}

#[tokio::test]
async fn slow_commit_is_unknown_and_a_repeat_finds_it() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    // Postgres limits statements, but not the work of a COMMIT.
    let slow = format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {WAIT_FOR_RELEASE} RETURN NULL; END$$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON answers DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()"
    );
    schema.sql(RELEASABLE).await;
    schema.sql(&slow).await;
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    let started = Instant::now();
    let unanswered = store.link_account(&link, &receipt).await;
    assert!(matches!(unanswered, Err(StoreError::Unknown { .. })), "{unanswered:?}");
    assert!(started.elapsed() < IN_TIME, "it took {:?}", started.elapsed());

    schema.sql(RELEASE).await;
    let repeated = wait::until("the commit to be over", wait::deadline(), async || {
        store.link_account(&link, &receipt).await.ok()
    });
    assert_eq!(repeated.await, LinkOutcome::Repeated(encrypted("answer to 1")));
}

#[tokio::test]
async fn wait_for_a_lock_times_out_even_with_more_waiters_than_connections() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema.sql(RELEASABLE).await;
    let keep = format!("INSERT INTO users (user_id) VALUES ('GEN-001'); DO $$BEGIN {WAIT_FOR_RELEASE} END$$");
    let kept = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{}.users'::regclass AND mode = 'RowExclusiveLock'",
        schema.name()
    );
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    let meanwhile = async {
        wait::until_true("the row to be locked", wait::deadline(), async || {
            schema.sql(&kept).await == ["1"]
        })
        .await;
        // More callers than connections: the last ones wait for a connection whose user waits for the lock.
        let callers = (0..6).map(|_| is_unavailable(store.link_account(&link, &receipt)));
        join_all(callers).await;
        schema.sql(RELEASE).await;
    };
    tokio::join!(schema.sql(&keep), meanwhile);
    assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["1"]);
}

#[tokio::test]
async fn cancelled_caller_leaves_nothing_half_done() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema.sql("INSERT INTO users (user_id) VALUES ('GEN-001')").await;
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let slow = store_at(&schema.url_through(proxy.addr())).await;
    proxy.delay(Duration::from_millis(60));
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    for patience in (100..700).step_by(200) {
        let given_up = tokio::time::timeout(Duration::from_millis(patience), slow.link_account(&link, &receipt));
        assert!(given_up.await.is_err());
    }
    // Its locks are free, so its transaction has ended.
    assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["1"]);
}

#[tokio::test]
async fn abandoned_statement_ends_at_the_server() {
    let database = database::migrated_database().await;
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let store = store_at(&database.url_through(proxy.addr())).await;
    database.sql(RELEASABLE).await;
    let keep = format!("INSERT INTO users (user_id) VALUES ('GEN-001'); DO $$BEGIN {WAIT_FOR_RELEASE} END$$");
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'postern' AND wait_event_type = 'Lock'";
    let (link, receipt) = (link("GEN-001", "7"), receipt("1"));
    let meanwhile = async {
        let kept = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'RowExclusiveLock'";
        wait::until_true("the row to be locked", wait::deadline(), async || {
            database.sql(kept).await == ["1"]
        })
        .await;
        let frozen = async {
            wait::until_true("the store to wait", wait::deadline(), async || {
                database.sql(waiting).await == ["1"]
            })
            .await;
            // From here on the server cannot see that the client is gone.
            proxy.freeze();
        };
        tokio::join!(is_unavailable(store.link_account(&link, &receipt)), frozen);
        wait::until_true("the statement to end", wait::deadline(), async || {
            database.sql(waiting).await == ["0"]
        })
        .await;
        database.sql(RELEASE).await;
    };
    tokio::join!(database.sql(&keep), meanwhile);
}
