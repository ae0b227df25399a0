//! `postern factor`: unlock or reset of a user's second factor.

use lifecycle::OsEntropy;
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};
use protocol::id::{InvalidId, UserId};
use store::PgStore;
use worker::{OperatorOutcome, reset_factor, unlock_factor};

use crate::cli::{FactorAction, FactorUser};
use crate::config::{ConfigError, Problems};

/// Failure to change a second factor.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// Invalid user id.
    #[error("--user")]
    Id(#[from] InvalidId),
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[from] store::SetupError),
    /// The change failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The user has no second factor.
    #[error("{0} has no second factor")]
    NoFactor(UserId),
}

/// Unlocks or resets a second factor, and describes the result.
///
/// # Errors
/// [`FactorError`].
pub(crate) async fn change_factor(action: &FactorAction, problems: Problems) -> Result<String, FactorError> {
    let (FactorAction::Unlock(args) | FactorAction::Reset(args)) = action;
    let user = UserId::new(&args.user)?;
    let store = store(args, problems).await?;
    let (outcome, done) = match action {
        FactorAction::Unlock(_) => (unlock_factor(&store, &user, &OsEntropy).await?, "unlocked"),
        FactorAction::Reset(_) => (reset_factor(&store, &user, &OsEntropy).await?, "removed"),
    };
    match outcome {
        OperatorOutcome::Done => Ok(format!("{done} the second factor of {user}")),
        OperatorOutcome::NoFactor => Err(FactorError::NoFactor(user)),
    }
}

async fn store(args: &FactorUser, problems: Problems) -> Result<PgStore, FactorError> {
    let meter = NoopMeterProvider::new().meter("postern");
    let (database, keys) = args.vault.with(&args.database, problems)?;
    Ok(PgStore::connect(&database, keys.audit_keys(), &meter).await?)
}
