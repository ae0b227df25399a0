//! Connections to a server that accepts no writes any more, closed connections, and old ones.

use std::time::Duration;

use protocol::fault::chain;
use store::{Accounts, LinkOutcome, PgStore, SetupError};
use testkit::postgres::Database;
use testkit::{Postgres, wait};

use crate::database::{meter, metered, migrate, migrated_database, open_all, settings, store_at, value};
use crate::sample::{audit_keys, link, receipt, user};

/// Turns open connections into those of a demoted primary, while new ones lead to its successor: a file setting applies to all
/// connections, a role setting overrides it when a connection is opened.
async fn demote_open_connections(postgres: &Postgres) {
    for statement in [
        "ALTER ROLE postern_worker SET default_transaction_read_only = off",
        "ALTER SYSTEM SET default_transaction_read_only = on",
        "SELECT pg_reload_conf()",
    ] {
        postgres.sql(statement).await;
    }
}

#[tokio::test]
async fn connections_to_a_demoted_server_are_replaced_without_failed_commands() {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    migrate(&database.owner_url()).await;
    let (meter, figures) = metered();
    let store = PgStore::connect(&settings(&database.url()), audit_keys(), &meter)
        .await
        .unwrap();
    open_all(&store).await;
    demote_open_connections(&postgres).await;
    let mut commands = 0;
    // The server signals its processes one after the other.
    wait::until_true("a connection to be discarded", wait::deadline(), async || {
        commands += 1;
        let name = format!("GEN-{commands}");
        let linked = store.link_account(&link(&name, &name), &receipt(&name)).await;
        assert_eq!(linked.unwrap(), LinkOutcome::Linked);
        let discarded = "postern_store_connections_discarded_total{reason=\"read_only\"}";
        value(&figures(), discarded).is_some_and(|connections| connections > 0.0)
    })
    .await;
    let accounts = database.sql("SELECT count(*) FROM accounts").await;
    assert_eq!(accounts, [commands.to_string()]);
    let figures = figures();
    let mut errors = figures
        .lines()
        .filter(|line| line.starts_with("postern_store_errors_total{"));
    assert!(errors.all(|line| line.ends_with(" 0")), "{figures}");
}

#[tokio::test]
async fn read_only_server_is_accepted_only_for_reading() {
    let database = migrated_database().await;
    let standby = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_read_only = on",
        database.name()
    );
    database.sql(&standby).await;
    let settings = settings(&database.url());
    let refused = PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap_err();
    assert!(matches!(refused, SetupError::Reach(_)), "{refused:?}");
    assert!(
        chain(&refused).contains("the server accepts no writes"),
        "{}",
        chain(&refused)
    );

    let reader = PgStore::connect(&settings.for_reading(), audit_keys(), &meter())
        .await
        .unwrap();
    assert!(reader.accounts(&user("GEN-001")).await.unwrap().is_empty());
}

#[tokio::test]
async fn command_on_closed_connections_is_retried_on_another() {
    let database = migrated_database().await;
    let store = store_at(&database.url()).await;
    for round in 0..5 {
        open_all(&store).await;
        let end_all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'postern'";
        database.sql(end_all).await;
        let name = format!("GEN-{round}");
        let linked = store.link_account(&link(&name, &name), &receipt(&name)).await;
        assert_eq!(linked.unwrap(), LinkOutcome::Linked);
    }
}

/// Server processes of a store.
async fn processes(database: &Database) -> Vec<String> {
    let processes = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'postern' ORDER BY 1";
    database.sql(processes).await
}

#[tokio::test]
async fn connection_is_reused_until_its_maximum_age() {
    let database = migrated_database().await;
    let store = store_at(&database.url()).await;
    let first = processes(&database).await;
    store.accounts(&user("GEN-001")).await.unwrap();
    assert_eq!(processes(&database).await, first);
    drop(store);

    let settings = settings(&database.url()).with_max_age(Duration::ZERO);
    let (meter, figures) = metered();
    let store = PgStore::connect(&settings, audit_keys(), &meter).await.unwrap();
    let replaced = figures();
    let replaced = replaced
        .lines()
        .find(|line| line.starts_with("postern_store_connections_discarded_total{reason=\"age\"}"));
    // One for each query after the first of three.
    assert!(replaced.is_some_and(|line| line.ends_with(" 2")), "{replaced:?}");
    store.accounts(&user("GEN-001")).await.unwrap();
    wait::until_true("old connections to be closed", wait::deadline(), async || {
        processes(&database).await.len() == 1
    })
    .await;
}
