//! Store on Postgres. Each method is one transaction with a time limit of 2.5 s.

mod accounts;
mod alert_groups;
mod alert_rows;
mod alerts;
mod answers;
mod app_webhooks;
mod audit;
mod audit_archive;
mod audit_export;
mod audit_partitions;
mod checkout;
mod connection;
mod deliveries;
mod devices;
mod direct;
mod encrypted_columns;
mod error;
mod grants;
mod inboxes;
mod key_uses;
mod locks;
mod migrate;
mod online;
mod operator;
mod outbox;
mod parameter;
mod pauses;
mod pending_links;
mod permits;
mod pool;
mod queue;
mod receipt;
mod refreshes;
mod restore;
mod retention;
mod row;
mod schema_change;
mod security;
mod session_check;
mod sessions;
mod settings;
mod syncs;
mod tls;
mod trace;
mod transaction;

use lifecycle::{Dependency, KeyedLocks};
use opentelemetry::metrics::Meter;
use protocol::fault::chain;
use protocol::id::UserId;

pub use audit_archive::{AuditPartition, close_audit_partition, drop_audit_partition, old_audit_partitions};
pub use audit_export::{AuditPage, AuditPosition, AuditTimePosition};
pub use error::is_logged_outage;
pub use grants::{Grant, SchemaUse};
pub use migrate::{Migrated, migrate};
pub use restore::{RestoreCheck, RestoredAccount, RestoredState, read_restored_state, read_users_with_open_sessions};
pub use settings::{PgSettings, PgSettingsError, PgUrlChange};
pub use tls::RootsError;

use self::pool::Pool;
use crate::StoreError;
use crate::metrics::Metrics;
use crate::vault::AuditKeys;

/// All roles, in a Postgres database.
#[derive(Debug)]
pub struct PgStore {
    pool: Pool,
    metrics: Metrics,
    audit: AuditKeys,
    /// Excludes concurrent relays of one user in this process, before each takes a connection to wait for the others.
    relays: KeyedLocks<UserId>,
}

impl PgStore {
    /// Connects, reporting this and every later outage to the dependency. May be repeated after an error. Otherwise as
    /// [`PgStore::connect`].
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn connect_reporting(
        settings: &PgSettings,
        audit: AuditKeys,
        meter: &Meter,
        dependency: &Dependency,
    ) -> Result<Self, SetupError> {
        match Self::connect(settings, audit, meter).await {
            Ok(mut store) => {
                dependency.succeeded();
                store.pool.report_to(dependency.clone());
                Ok(store)
            }
            Err(error) => {
                if let Some(class) = error.outage() {
                    dependency.failed(class, chain(&error));
                }
                Err(error)
            }
        }
    }

    /// Connects, and checks that this build knows the schema and that the role has the rights that it needs: those of a worker, or with
    /// [`PgSettings::for_reading`] those of a reader of the audit log. The first of these keys signs the audit log.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn connect(settings: &PgSettings, audit: AuditKeys, meter: &Meter) -> Result<Self, SetupError> {
        let metrics = Metrics::new(meter);
        let pool = Pool::new(settings, metrics.clone())?;
        let schema_use = if settings.accepts_read_only {
            SchemaUse::AuditReader
        } else {
            SchemaUse::Worker
        };
        migrate::check_schema(&pool, schema_use).await?;
        Metrics::watch(meter, pool.usage());
        if settings.may_be_unencrypted() {
            tracing::warn!("database connection may be unencrypted: the URL has no sslmode=require");
        }
        Ok(Self {
            pool,
            metrics,
            audit,
            relays: KeyedLocks::default(),
        })
    }
}

/// Error at the start of a store.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS could not be configured.
    #[error("set up TLS to the database")]
    Tls(#[from] RootsError),
    /// The database is unreachable or refuses the login.
    #[error("reach the database")]
    Reach(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database does not store Unicode.
    #[error(
        "the database's encoding is {0}, and Postern needs UTF8: create one with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
    /// The schema is older than this build.
    #[error("the database has schema version {found}, this build needs {needed}: run `postern migrate`")]
    Behind {
        /// Version of the schema; 0 if there is none.
        found: i32,
        /// Version that this build needs.
        needed: i32,
    },
    /// A migration failed, or an applied migration differs from the one of this build.
    #[error("migrate the schema")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another process has not finished its migration in time.
    #[error("another `postern migrate` is still at work on the schema")]
    Busy,
    /// A role could not be granted its rights.
    #[error("grant the rights of the role {role}")]
    Grant {
        /// Name of the role.
        role: String,
        /// Reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The role of this connection lacks rights.
    #[error("the role of the connection lacks rights that `postern migrate --migrate-grant-to ROLE` grants: {missing}")]
    Denied {
        /// Missing rights: `INSERT on accounts, USAGE on account_generations`.
        missing: String,
    },
    /// Partitions of the audit log could not be changed.
    #[error("change the partitions of the audit log")]
    Partitions(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An index could not be built.
    #[error("build the index {name}")]
    Index {
        /// Name of the index.
        name: &'static str,
        /// Reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SetupError {
    /// Class of a fault that may end without a change of this node's settings, such as `timeout`; none for every other. A schema that is
    /// not migrated yet, or not granted, is one, as the migration may run beside. So is a wrong password: where passwords are rotated, server and node
    /// learn the new one at different times.
    #[must_use]
    pub fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Reach(error) => error.downcast_ref::<StoreError>()?.outage(),
            Self::Behind { .. } => Some("schema_behind"),
            Self::Denied { .. } => Some("permission"),
            Self::Tls(_)
            | Self::Encoding(_)
            | Self::Migrate(_)
            | Self::Busy
            | Self::Grant { .. }
            | Self::Partitions(_)
            | Self::Index { .. } => None,
        }
    }
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Reach(Box::new(error))
    }
}
