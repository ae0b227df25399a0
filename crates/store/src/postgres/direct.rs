//! Connection outside of the pool, for commands that run once: without limits of time, and straight to Postgres.

use tokio::time::timeout;
use tokio_postgres::Client;

use super::settings::{CONNECT_TIMEOUT, PgSettings};
use super::{SetupError, tls};

/// Opens a connection, runs the work on it, and closes it, with its locks.
///
/// # Errors
/// [`SetupError::Reach`], and those of the work.
pub(super) async fn on_own_connection<T>(
    settings: &PgSettings,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, SetupError>,
) -> Result<T, SetupError> {
    let config = settings.config();
    let connecting = timeout(CONNECT_TIMEOUT, config.connect(tls::connector(&settings.roots)?)).await;
    let connecting = connecting.map_err(|elapsed| SetupError::Reach(Box::new(elapsed)))?;
    let (mut client, connection) = connecting.map_err(|error| SetupError::Reach(Box::new(error)))?;
    let work = async {
        let outcome = work(&mut client).await;
        // The connection ends when its client is dropped.
        drop(client);
        outcome
    };
    let (outcome, connection) = tokio::join!(work, connection);
    let outcome = outcome?;
    connection.map_err(|error| SetupError::Reach(Box::new(error)))?;
    Ok(outcome)
}
