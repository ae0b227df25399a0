//! A schema or a database of its own on the server that all tests share, migrated.

use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use protocol::secret::Secret;
use store::{Accounts, PgSettings, PgStore, migrate};
use testkit::Postgres;
use testkit::postgres::{Database, PgBouncer, Schema};
use tokio::sync::OnceCell;

use crate::sample::{audit_keys, user};

/// An empty schema, brought up to date.
pub(crate) async fn migrated() -> Schema {
    let schema = Postgres::shared().await.schema().await;
    migrate(&settings(&schema.url())).await.unwrap();
    schema
}

/// A store with few connections, as if it were one worker's.
pub(crate) async fn store(schema: &Schema) -> PgStore {
    store_at(&schema.url()).await
}

pub(crate) async fn store_at(url: &str) -> PgStore {
    PgStore::connect(&settings(url), audit_keys(), &meter()).await.unwrap()
}

/// A database of its own, brought up to date: a copy of one that was.
pub(crate) async fn migrated_database() -> Database {
    static MIGRATED: OnceCell<Database> = OnceCell::const_new();
    let migrated = MIGRATED.get_or_init(|| Box::pin(newly_migrated())).await;
    Postgres::shared().await.copy_of(migrated).await
}

async fn newly_migrated() -> Database {
    let database = Postgres::shared().await.database().await;
    migrate(&settings(&database.url())).await.unwrap();
    database
}

/// As [`store`], by way of a pgbouncer in transaction mode.
pub(crate) async fn pooled_store(database: &Database) -> PgStore {
    let url = database.url_through(PgBouncer::shared().await.addr());
    let settings = settings(&url).without_prepared_statements();
    PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap()
}

pub(crate) fn settings(url: &str) -> PgSettings {
    PgSettings::parse(&Secret::new(url), 4).unwrap()
}

pub(crate) fn meter() -> Meter {
    NoopMeterProvider::new().meter("test")
}

/// A meter, and its figures as an operator reads them.
pub(crate) fn metered() -> (Meter, impl Fn() -> String) {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let exporter = exporter.without_counter_suffixes().scope_info_enabled(false);
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.build().unwrap())
        .build();
    let meter = provider.meter("test");
    let figures = move || {
        // The figures are there as long as this is.
        let _held = &provider;
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    };
    (meter, figures)
}

/// Opens as many connections as the pool of a test's store has.
pub(crate) async fn open_all(store: &impl Accounts) {
    let owner = user("GEN-001");
    let (a, b, c, d) = tokio::join!(
        store.accounts(&owner),
        store.accounts(&owner),
        store.accounts(&owner),
        store.accounts(&owner)
    );
    assert!([a, b, c, d].iter().all(Result::is_ok));
}
