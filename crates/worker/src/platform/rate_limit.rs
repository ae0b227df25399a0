//! Rate limits of platforms (HTTP 429, `Retry-After`): a limit of the whole application pauses the platform for all workers.

use std::time::Duration;

use platforms::PauseScope;
use protocol::account::AccountType;
use protocol::fault::chain;
use store::Pauses;

use crate::metrics::{Metrics, PauseLabel};

/// Applies a rate limit. A limit of the application pauses the platform; a limit of one account is left to its caller.
pub(crate) async fn apply(
    pauses: &dyn Pauses,
    metrics: &Metrics,
    platform: AccountType,
    (wait, whose): (Duration, PauseScope),
) {
    record(metrics, platform, (wait, whose));
    if whose == PauseScope::App
        && let Err(error) = pauses.pause_platform(platform, wait).await
    {
        tracing::warn!(%platform, ?wait, error = chain(&error), "platform pause not stored, other workers keep calling");
    }
}

/// Counts and logs a rate limit.
pub(crate) fn record(metrics: &Metrics, platform: AccountType, (wait, whose): (Duration, PauseScope)) {
    let whose = match whose {
        PauseScope::Account => PauseLabel::Account,
        PauseScope::App => PauseLabel::App,
    };
    metrics.pause(platform, whose);
    tracing::info!(%platform, whose = whose.as_str(), ?wait, "platform rate limit, pausing");
}
