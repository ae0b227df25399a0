//! Deletion of expired rows, once a minute.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OutageReporter, PeriodicLoop};
use store::Answers;
use tokio_util::sync::CancellationToken;

use crate::outage::report_failure;

/// Deletes expired answers, exchanges and sent events until the node drains.
pub(crate) async fn prune(answers: Arc<dyn Answers>, drain: CancellationToken) {
    let outage = OutageReporter::new("delete what is past its time");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match answers.prune().await {
            Ok(rows) => {
                outage.succeeded();
                tracing::debug!(rows, "expired rows deleted");
            }
            Err(error) => report_failure(&outage, &error),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(60);
