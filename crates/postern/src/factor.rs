//! `postern factor`: for a user who cannot give the second factor.

use lifecycle::OsEntropy;
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};
use protocol::id::{InvalidId, UserId};
use store::PgStore;
use worker::{OperatorOutcome, reset_factor, unlock_factor};

use crate::cli::{FactorAction, FactorUser};
use crate::config::ConfigError;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The user id.
    #[error("--user")]
    Id(#[from] InvalidId),
    /// The database's URL.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("connect to Postgres")]
    Connect(#[from] store::SetupError),
    /// The change.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// There is none.
    #[error("{0} has no second factor")]
    NoFactor(UserId),
}

/// Does it, and says what was done.
///
/// # Errors
/// [`FactorError`].
pub(crate) async fn rescue(action: &FactorAction) -> Result<String, FactorError> {
    let (FactorAction::Unlock(args) | FactorAction::Reset(args)) = action;
    let user = UserId::new(&args.user)?;
    let store = store(args).await?;
    let (rescued, done) = match action {
        FactorAction::Unlock(_) => (unlock_factor(&store, &user, &OsEntropy).await?, "unlocked"),
        FactorAction::Reset(_) => (reset_factor(&store, &user, &OsEntropy).await?, "removed"),
    };
    match rescued {
        OperatorOutcome::Done => Ok(format!("{done} the second factor of {user}")),
        OperatorOutcome::NoFactor => Err(FactorError::NoFactor(user)),
    }
}

async fn store(args: &FactorUser) -> Result<PgStore, FactorError> {
    let meter = NoopMeterProvider::new().meter("postern");
    let (database, keys) = args.vault.with(&args.database)?;
    Ok(PgStore::connect(&database, keys.audit_keys(), &meter).await?)
}
