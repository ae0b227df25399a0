//! A schema of its own on the server that all tests share, migrated.

use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};
use protocol::secret::Secret;
use store::{PgSettings, PgStore, migrate};
use testkit::Postgres;
use testkit::postgres::Schema;

use crate::sample::audit_keys;

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

pub(crate) fn settings(url: &str) -> PgSettings {
    PgSettings::parse(&Secret::new(url), 4).unwrap()
}

pub(crate) fn meter() -> Meter {
    NoopMeterProvider::new().meter("test")
}
