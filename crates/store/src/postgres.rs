//! The store on Postgres. Each method is one transaction, given up after 2.5 s: nobody waits longer for a database that does
//! not answer.

mod accounts;
mod alerts;
mod answers;
mod audit;
mod connection;
mod deliveries;
mod devices;
mod error;
mod head;
mod inboxes;
mod migrate;
mod outbox;
mod parameter;
mod parking;
mod pauses;
mod places;
mod pool;
mod queue;
mod receipt;
mod refreshes;
mod row;
mod sealings;
mod security;
mod sessions;
mod settings;
mod syncs;
mod taken;
mod tls;
mod transaction;

use opentelemetry::metrics::Meter;

pub use migrate::migrate;
pub use settings::{PgSettings, PgSettingsError};
pub use tls::RootsError;

pub(crate) use self::pool::Pool;
use crate::StoreError;
use crate::metrics::Metrics;
use crate::turns::Turns;
use crate::vault::AuditKeys;

/// All roles, in a Postgres database.
#[derive(Debug)]
pub struct PgStore {
    pool: Pool,
    metrics: Metrics,
    audit: AuditKeys,
    /// Keeps the relays of one user in this process apart before they take a connection each to wait for one another.
    relays: Turns,
}

impl PgStore {
    /// Connects, and checks that the schema is one this build knows. The audit log is signed with the first of these keys.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn connect(settings: &PgSettings, audit: AuditKeys, meter: &Meter) -> Result<Self, SetupError> {
        let metrics = Metrics::new(meter);
        let pool = Pool::new(settings, metrics.clone())?;
        migrate::check_schema(&pool).await?;
        Metrics::watch(meter, &pool);
        if settings.may_be_unencrypted() {
            tracing::warn!("the link to the database may be unencrypted: the URL does not say sslmode=require");
        }
        Ok(Self {
            pool,
            metrics,
            audit,
            relays: Turns::default(),
        })
    }
}

/// Why a store cannot begin its work.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No certificates to check the server's by.
    #[error("set up TLS to the database")]
    Tls(#[from] RootsError),
    /// The database cannot be reached or does not let us in.
    #[error("reach the database")]
    Reach(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Text would not be what it is everywhere else.
    #[error(
        "the database's encoding is {0}, and Postern needs UTF8: create one with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
    /// The schema is older than this build.
    #[error("the database has schema version {found}, this build needs {needed}: run `postern migrate`")]
    Behind {
        /// The version that is there; 0: none.
        found: i32,
        /// The version that is needed.
        needed: i32,
    },
    /// A migration failed, or what was applied before is not what this build knows under that name.
    #[error("migrate the schema")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Reach(Box::new(error))
    }
}
