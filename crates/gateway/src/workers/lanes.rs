//! Lanes without a worker: one log line when a lane is found unserved and one when it is served again, and a gauge.

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::cluster::job::Lane;
use protocol::fault::chain;
use tokio_util::sync::CancellationToken;

use super::WorkerClient;
use crate::metrics::Metrics;

/// Outages of all lanes, as this gateway sees them.
#[derive(Debug)]
pub(super) struct LaneOutages {
    sign_in: OutageReporter,
    interactive: OutageReporter,
    platform: OutageReporter,
    webhook: OutageReporter,
}

impl LaneOutages {
    /// Starts without an outage.
    pub(super) fn new() -> Self {
        Self {
            sign_in: OutageReporter::new("jobs of the sign_in lane"),
            interactive: OutageReporter::new("jobs of the interactive lane"),
            platform: OutageReporter::new("jobs of the platform lane"),
            webhook: OutageReporter::new("jobs of the webhook lane"),
        }
    }

    /// Records the result of a submit to this lane.
    pub(super) fn record(&self, lane: Lane, submitted: &Result<(), BusError>) {
        match submitted {
            Ok(()) => self.of(lane).succeeded(),
            Err(error @ BusError::Unserved(_)) => self.of(lane).failed(chain(error)),
            Err(_no_outage_of_the_workers) => {}
        }
    }

    fn of(&self, lane: Lane) -> &OutageReporter {
        match lane {
            Lane::SignIn => &self.sign_in,
            Lane::Interactive => &self.interactive,
            Lane::Platform => &self.platform,
            Lane::Webhook => &self.webhook,
        }
    }
}

impl WorkerClient {
    /// Checks all lanes until the node is done, so that an outage is reported without a client's command.
    pub(crate) async fn watch_lanes(self: Arc<Self>, metrics: Arc<Metrics>, soft: CancellationToken) {
        let mut ticks = PeriodicLoop::new(CHECK_INTERVAL, soft);
        while ticks.next().await {
            for lane in Lane::ALL {
                // A bus that does not answer is an outage of its own.
                if let Ok(served) = self.jobs.is_served(lane).await {
                    let checked = served.then_some(()).ok_or(BusError::Unserved(lane.as_str()));
                    self.lanes.record(lane, &checked);
                    metrics.lane_served(lane, served);
                }
            }
        }
    }
}

/// Interval of the checks, as [`bus::Jobs::is_served`] requires.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
