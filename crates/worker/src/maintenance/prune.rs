//! Deletion of expired rows, once a minute.

use std::sync::Arc;
use std::time::Duration;

use store::Answers;
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;
use crate::pace::Pace;

/// Deletes expired answers, exchanges and sent events until the node drains.
pub(crate) async fn prune(answers: Arc<dyn Answers>, drain: CancellationToken) {
    let outage = Outage::of("delete what is past its time");
    let mut pace = Pace::new(PERIOD, drain);
    while pace.next().await {
        match answers.prune().await {
            Ok(rows) => {
                outage.over();
                tracing::debug!(rows, "expired rows deleted");
            }
            Err(error) => outage.met(&error),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(60);
