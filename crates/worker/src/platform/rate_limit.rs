//! Platforms that ask to wait where no account's turn is at hand: what is asked of the whole application is written down for all workers.

use std::time::Duration;

use platforms::PauseScope;
use protocol::account::AccountType;
use protocol::fault::chain;
use store::Pauses;

use crate::metrics::Metrics;

/// Takes note of what a platform asks. What is meant for one caller alone is between that caller and the platform.
pub(crate) async fn heed(
    pauses: &dyn Pauses,
    metrics: &Metrics,
    platform: AccountType,
    (wait, whose): (Duration, PauseScope),
) {
    told(metrics, platform, (wait, whose));
    if whose == PauseScope::App
        && let Err(error) = pauses.pause_platform(platform, wait).await
    {
        tracing::warn!(%platform, ?wait, error = chain(&error), "that a platform asks to wait is not written down");
    }
}

/// Counts and logs it.
pub(crate) fn told(metrics: &Metrics, platform: AccountType, (wait, whose): (Duration, PauseScope)) {
    let whose = match whose {
        PauseScope::Account => "account",
        PauseScope::App => "app",
    };
    metrics.pause(platform, whose);
    tracing::info!(%platform, whose, ?wait, "a platform asks to wait");
}
