//! Printed chains of errors that real servers cause: no part repeats another one.

use std::error::Error;

use store::{Accounts, PgStore, migrate};
use testkit::Postgres;

use crate::database::{meter, migrated, settings, store_at};
use crate::sample::{audit_keys, link, receipt, user};

/// Parts of a printed chain, none of which contains the next one or is contained in it.
#[track_caller]
fn distinct_parts(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        parts.push(error.to_string());
        source = error.source();
    }
    for (part, next) in parts.iter().zip(parts.iter().skip(1)) {
        assert!(
            !part.contains(next.as_str()) && !next.contains(part.as_str()),
            "{parts:?}"
        );
    }
    parts
}

#[tokio::test]
async fn chain_of_an_unreachable_server_ends_with_the_refusal() {
    let nobody = testkit::port::Port::claim();
    let url = format!("postgres://postgres@{}/postgres?sslmode=disable", nobody.addr());
    let connected = PgStore::connect(&settings(&url), audit_keys(), &meter()).await;
    let parts = distinct_parts(&connected.unwrap_err());
    assert_eq!(parts[..2], ["reach the database", "look up the schema"]);
    assert!(parts.last().unwrap().contains("refused"), "{parts:?}");
    let parts = distinct_parts(&migrate(&settings(&url), &[]).await.unwrap_err());
    assert!(parts.last().unwrap().contains("refused"), "{parts:?}");
}

#[tokio::test]
async fn chain_of_a_missing_database_ends_with_the_servers_message() {
    let addr = Postgres::shared().await.addr();
    let url = format!("postgres://postgres@{addr}/nowhere?sslmode=disable");
    let connected = PgStore::connect(&settings(&url), audit_keys(), &meter()).await;
    let parts = distinct_parts(&connected.unwrap_err());
    assert!(
        parts.last().unwrap().contains("\"nowhere\" does not exist"),
        "{parts:?}"
    );
}

#[tokio::test]
async fn chain_of_a_migration_on_a_read_only_server_says_each_thing_once() {
    let schema = Postgres::shared().await.schema().await;
    let url = format!("{}%20-c%20default_transaction_read_only%3Don", schema.owner_url());
    let parts = distinct_parts(&migrate(&settings(&url), &[]).await.unwrap_err());
    assert_eq!(parts[0], "migrate the schema");
    assert!(parts.last().unwrap().contains("read-only transaction"), "{parts:?}");
}

#[tokio::test]
async fn chain_of_a_read_only_server_names_the_reason() {
    let schema = migrated().await;
    let url = format!("{}%20-c%20default_transaction_read_only%3Don", schema.url());
    let connected = PgStore::connect(&settings(&url), audit_keys(), &meter()).await;
    let parts = distinct_parts(&connected.unwrap_err());
    assert!(parts.last().unwrap().contains("accepts no writes"), "{parts:?}");
}

#[tokio::test]
async fn chain_of_a_missing_table_ends_with_the_servers_message() {
    let schema = migrated().await;
    let store = store_at(&schema.url()).await;
    schema.sql("ALTER TABLE accounts RENAME TO elsewhere").await;
    let read = store.accounts(&user("GEN-001")).await.unwrap_err();
    let written = store
        .link_account(&link("GEN-001", "7"), &receipt("1"))
        .await
        .unwrap_err();
    for error in [read, written] {
        let parts = distinct_parts(&error);
        assert!(
            parts.last().unwrap().contains("\"accounts\" does not exist"),
            "{parts:?}"
        );
    }
}
