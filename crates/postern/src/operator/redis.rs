//! Connection to Redis for one command.

use std::sync::Arc;
use std::time::Duration;

use bus::{ConnectError, RedisBus, RedisRuntime, RedisSettings};
use lifecycle::{Clock, Dependencies, OsEntropy, SystemClock, Tasks};

use super::meter;

/// Runs a command with a connection, which ends with it.
///
/// # Errors
/// Those of the connect and of the command.
pub(crate) async fn with_redis<T, E: From<ConnectError>>(
    settings: &RedisSettings,
    command: impl AsyncFnOnce(&RedisBus) -> Result<T, E>,
) -> Result<T, E> {
    let tasks = Tasks::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtime = RedisRuntime {
        clock: Arc::clone(&clock),
        entropy: Arc::new(OsEntropy),
        tasks: tasks.clone(),
        meter: meter(),
        dependencies: Dependencies::new(clock),
    };
    let outcome = match Box::pin(RedisBus::connect(settings, &runtime)).await {
        Ok(bus) => command(&bus).await,
        Err(error) => Err(error.into()),
    };
    // Its report is of no interest: the outcome of the command is known.
    let _report = tasks.drain(DRAIN_WITHIN).await;
    outcome
}

/// Time limit for the end of the connection.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
