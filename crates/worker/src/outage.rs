//! Failures of background operations, as an operator reads them.

use std::error::Error;

use lifecycle::OutageReporter;
use protocol::fault::chain;

/// Reports a failure of an operation, unless it is part of an outage that bus or store log themselves: an outage of Redis or Postgres is one
/// line of a node, however many operations need them.
pub(crate) fn report_failure(outage: &OutageReporter, error: &(dyn Error + 'static)) {
    if bus::is_logged_outage(error) || store::is_logged_outage(error) {
        tracing::debug!(error = chain(error), "operation failed in an outage");
    } else {
        outage.failed(chain(error));
    }
}
