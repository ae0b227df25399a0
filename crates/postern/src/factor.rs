//! `postern factor`: unlock or reset of a user's second factor.

use std::fmt;

use lifecycle::OsEntropy;
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};
use protocol::id::{InvalidId, UserId};
use serde::Serialize;
use store::PgStore;
use worker::{OperatorOutcome, reset_factor, unlock_factor};

use crate::cli::FactorAction;
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

/// Change of a second factor.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FactorReport {
    user: UserId,
    /// `unlocked` or `removed`.
    outcome: &'static str,
}

impl fmt::Display for FactorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} the second factor of {}", self.outcome, self.user)
    }
}

/// Unlocks or resets a second factor.
///
/// # Errors
/// [`FactorError`].
pub(crate) async fn change_factor(action: &FactorAction, problems: Problems) -> Result<FactorReport, FactorError> {
    let args = action.user();
    let user = UserId::new(&args.user)?;
    let settings = args.operator.settings(problems)?;
    let meter = NoopMeterProvider::new().meter("postern");
    let store = PgStore::connect(&settings.database, settings.keys.audit_keys(), &meter).await?;
    let operator = &settings.operator;
    let (done, outcome) = match action {
        FactorAction::Unlock(_) => (unlock_factor(&store, &user, operator, &OsEntropy).await?, "unlocked"),
        FactorAction::Reset(_) => (reset_factor(&store, &user, operator, &OsEntropy).await?, "removed"),
    };
    match done {
        OperatorOutcome::Done => Ok(FactorReport { user, outcome }),
        OperatorOutcome::NoFactor => Err(FactorError::NoFactor(user)),
    }
}
