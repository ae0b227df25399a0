//! Migrated schemas and databases on the server that all tests share.

use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};
use protocol::app_webhook::AppWebhookType;
use protocol::secret::Secret;
use refinery::Migration;
use store::{Accounts, Grant, Migrated, PgSettings, PgStore, SchemaUse};
use telemetry::metrics::Metrics;
use testkit::Postgres;
use testkit::postgres::{Database, PgBouncer, Schema, WORKER_ROLE};
use tokio::sync::OnceCell;

use crate::sample::{audit_keys, user};

/// Creates and migrates an empty schema.
pub(crate) async fn migrated() -> Schema {
    let schema = Postgres::shared().await.schema().await;
    migrate(&schema.owner_url()).await;
    schema
}

/// Creates a schema as the release whose newest migration this was has left it.
pub(crate) async fn migrated_to(newest: i32) -> Schema {
    let schema = Postgres::shared().await.schema().await;
    let history = "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), \
                   applied_on varchar(255), checksum varchar(255))";
    schema.sql(history).await;
    for migration in migration_files() {
        if migration.version() <= newest {
            schema.sql(migration.sql().unwrap()).await;
            let (version, name, checksum) = (migration.version(), migration.name(), migration.checksum());
            let row = format!("({version}, '{name}', '2026-11-23T16:31:00Z', '{checksum}')");
            schema
                .sql(&format!("INSERT INTO refinery_schema_history VALUES {row}"))
                .await;
        }
    }
    schema
}

/// Files of all migrations, by version.
fn migration_files() -> Vec<Migration> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let mut migrations: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            Migration::unapplied(name, &std::fs::read_to_string(&path).unwrap()).unwrap()
        })
        .collect();
    migrations.sort();
    migrations
}

/// Migrates as the owner, and grants the rights of a worker to the role of workers.
pub(crate) async fn migrate(owner_url: &str) -> Migrated {
    let grant = Grant {
        role: WORKER_ROLE.to_owned(),
        schema_use: SchemaUse::Worker,
    };
    store::migrate(&settings(owner_url), &[grant]).await.unwrap()
}

/// Store with few connections, as one worker has.
pub(crate) async fn store(schema: &Schema) -> PgStore {
    store_at(&schema.url()).await
}

pub(crate) async fn store_at(url: &str) -> PgStore {
    queueing_store(url, &[]).await
}

/// Store that queues webhooks of these types.
pub(crate) async fn queueing_store(url: &str, types: &[AppWebhookType]) -> PgStore {
    let settings = settings(url).queueing_app_webhooks(types);
    PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap()
}

/// Migrated database: a copy of one that was migrated before.
pub(crate) async fn migrated_database() -> Database {
    static MIGRATED: OnceCell<Database> = OnceCell::const_new();
    let migrated = MIGRATED.get_or_init(|| Box::pin(newly_migrated())).await;
    Postgres::shared().await.copy_of(migrated).await
}

async fn newly_migrated() -> Database {
    let database = Postgres::shared().await.database().await;
    migrate(&database.owner_url()).await;
    database
}

/// Store that connects through a pgbouncer in transaction mode, and queues webhooks of these types.
pub(crate) async fn pooled_store(database: &Database, types: &[AppWebhookType]) -> PgStore {
    let url = database.url_through(PgBouncer::shared().await.addr());
    let settings = settings(&url)
        .without_prepared_statements()
        .queueing_app_webhooks(types);
    PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap()
}

pub(crate) fn settings(url: &str) -> PgSettings {
    PgSettings::parse(&Secret::new(url), 4).unwrap()
}

pub(crate) fn meter() -> Meter {
    NoopMeterProvider::new().meter("test")
}

/// Meter, and a function that returns its metrics in Prometheus's text format.
pub(crate) fn metered() -> (Meter, impl Fn() -> String) {
    let metrics = Metrics::new("test");
    (metrics.meter(), move || metrics.render().unwrap())
}

/// Value of a series in these metrics; none if it does not exist.
pub(crate) fn value(figures: &str, series: &str) -> Option<f64> {
    let value = figures
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

/// Opens all connections of the pool of a test's store.
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
