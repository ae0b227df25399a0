//! Failures of background operations, as an operator reads them.

use std::error::Error;

use lifecycle::OutageReporter;
use protocol::account::AccountType;
use protocol::code::ErrorCode;
use protocol::fault::chain;

/// Reports whether the failure is part of an outage of Redis, Postgres or a platform, which is logged itself: one line at its beginning
/// and one at its end, however many operations fail between.
pub(crate) fn is_logged(error: &(dyn Error + 'static)) -> bool {
    bus::is_logged_outage(error) || store::is_logged_outage(error) || platforms::is_logged_outage(error)
}

/// Reports a failure of an operation, unless it is part of an outage that is logged itself.
pub(crate) fn report_failure(outage: &OutageReporter, error: &(dyn Error + 'static)) {
    if is_logged(error) {
        tracing::debug!(error = chain(error), "operation failed in an outage");
    } else {
        outage.failed(chain(error));
    }
}

/// Logs a failure at a platform, unless it is part of an outage that is logged itself.
pub(crate) fn log_unavailable_platform(
    platform: AccountType,
    failure: &(dyn Error + 'static),
    operation: &'static str,
) {
    let (code, error) = (ErrorCode::PlatformUnavailable.as_str(), chain(failure));
    if is_logged(failure) {
        tracing::debug!(code, %platform, error, "{operation}");
    } else {
        tracing::warn!(code, %platform, error, "{operation}");
    }
}
