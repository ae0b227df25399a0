//! Migrations, and stores on an unknown schema.

use std::error::Error as _;

use futures_util::future::join_all;
use store::{Accounts, Migrated, PgStore, SetupError, migrate};
use testkit::Postgres;

use crate::database::{meter, settings};
use crate::sample::{audit_keys, user};

#[tokio::test]
async fn second_migration_changes_nothing() {
    let schema = Postgres::shared().await.schema().await;
    let settings = settings(&schema.owner_url());
    assert_eq!(migrate(&settings, &[]).await.unwrap().applied[0], "V1__the_truth");
    let before = schema.dump().await;
    assert!(migrate(&settings, &[]).await.unwrap().applied.is_empty());
    assert_eq!(schema.dump().await, before);
}

#[tokio::test]
async fn concurrent_migrations_are_applied_once() {
    let schema = Postgres::shared().await.schema().await;
    let settings = settings(&schema.owner_url());
    let applied = join_all((0..5).map(|_| migrate(&settings, &[]))).await;
    let applied: Vec<_> = applied
        .into_iter()
        .flat_map(|migrated| migrated.unwrap().applied)
        .collect();
    let firsts = applied.iter().filter(|name| *name == "V1__the_truth").count();
    assert_eq!(firsts, 1, "{applied:?}");
}

#[tokio::test]
async fn store_refuses_an_unmigrated_schema_and_names_the_command() {
    let schema = Postgres::shared().await.schema().await;
    let refused = PgStore::connect(&settings(&schema.url()), audit_keys(), &meter())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, SetupError::Behind { found: 0, needed: 1.. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("run `postern migrate`"), "{refused}");
}

/// History of a schema that a newer release has migrated.
const NEWER: &str = "INSERT INTO refinery_schema_history VALUES (99, 'newer', '2026-11-23T16:31:00Z', '1')";

#[tokio::test]
async fn store_accepts_the_schema_of_a_newer_build() {
    let schema = crate::database::migrated().await;
    schema.sql(NEWER).await;
    let store = crate::database::store(&schema).await;
    assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
}

/// A rollback runs `migrate` of the older release again.
#[tokio::test]
async fn migration_leaves_the_schema_of_a_newer_build_as_it_is() {
    let schema = crate::database::migrated().await;
    // The newer release may have dropped an index.
    schema.sql(&format!("{NEWER}; DROP INDEX tasks_by_user")).await;
    let before = schema.dump().await;
    let migrated = migrate(&settings(&schema.owner_url()), &[]).await.unwrap();
    let expected = Migrated {
        applied: Vec::new(),
        version: 99,
        is_newer: true,
    };
    assert_eq!(migrated, expected);
    assert_eq!(schema.dump().await, before);
    assert_eq!(schema.sql("SELECT to_regclass('tasks_by_user')").await, [""]);
}

#[tokio::test]
async fn newer_schema_without_one_of_the_own_migrations_is_refused() {
    let schema = crate::database::migrated().await;
    let delete = "DELETE FROM refinery_schema_history WHERE version = 5";
    schema.sql(&format!("{NEWER}; {delete}")).await;
    let refused = migrate(&settings(&schema.owner_url()), &[]).await.unwrap_err();
    assert!(matches!(refused, SetupError::Migrate(_)), "{refused:?}");
}

#[tokio::test]
async fn edited_migration_is_refused() {
    let schema = crate::database::migrated().await;
    schema.sql("UPDATE refinery_schema_history SET checksum = '1'").await;
    let refused = migrate(&settings(&schema.owner_url()), &[]).await.unwrap_err();
    assert!(matches!(refused, SetupError::Migrate(_)), "{refused:?}");
    assert!(refused.source().is_some());
}

#[tokio::test]
async fn unreachable_database_is_reported() {
    let nobody = testkit::port::Port::claim();
    let url = format!("postgres://postgres@{}/postgres?sslmode=disable", nobody.addr());
    let refused = PgStore::connect(&settings(&url), audit_keys(), &meter())
        .await
        .unwrap_err();
    assert!(matches!(refused, SetupError::Reach(_)), "{refused:?}");
    let refused = migrate(&settings(&url), &[]).await.unwrap_err();
    assert!(matches!(refused, SetupError::Reach(_)), "{refused:?}");
}

#[tokio::test]
async fn database_of_another_encoding_is_refused() {
    let postgres = Postgres::shared().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("of_{}", encoding.to_lowercase());
        let create = format!("CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0");
        postgres.sql(&create).await;
        let url = format!("postgres://postgres@{}/{name}?sslmode=disable", postgres.addr());
        let refused = migrate(&settings(&url), &[]).await.unwrap_err();
        assert!(
            matches!(&refused, SetupError::Encoding(found) if found == encoding),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("needs UTF8"), "{refused}");
        postgres.sql(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}
