//! Outages of the bus as a gateway logs them: one line at the beginning and one at the end, however many requests fail between. A bus
//! that logs its outages itself leaves none for the gateway.

use bus::{BusError, is_logged_outage};
use lifecycle::OutageReporter;
use protocol::fault::chain;

/// Results of all requests of a gateway to the bus.
#[derive(Debug)]
pub(crate) struct BusOutage {
    reporter: OutageReporter,
}

impl BusOutage {
    /// Starts without an outage.
    pub(crate) fn new() -> Self {
        Self {
            reporter: OutageReporter::new("bus requests"),
        }
    }

    /// Records the result of a request and returns it. Errors that are no outage are logged each.
    ///
    /// # Errors
    /// The error of the request.
    pub(crate) fn record<T>(&self, request: &'static str, result: Result<T, BusError>) -> Result<T, BusError> {
        match &result {
            // Lanes are reported by lane; a user whose events are too many is no outage.
            Ok(_) | Err(BusError::Unserved(_) | BusError::Busy) => self.reporter.succeeded(),
            Err(error @ BusError::Unavailable { .. }) => {
                if !is_logged_outage(error) {
                    self.reporter.failed(chain(error));
                }
                tracing::debug!(request, error = chain(error), "bus request failed");
            }
            Err(error) => tracing::warn!(request, error = chain(error), "bus request failed"),
        }
        result
    }
}
