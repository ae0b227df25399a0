//! Lease of due webhooks. Each is sent in a task of its own, so that a slow receiver delays nothing else of the worker.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Entropy, OutageReporter, PeriodicLoop, Tasks};
use protocol::id::WorkerId;
use store::AppWebhooks;
use tokio::sync::Notify;

use super::attempt::Attempts;
use super::client::AppWebhookClient;
use super::pace::Pace;
use crate::metrics::Metrics;
use crate::outage::report_failure;

/// Leases due webhooks and sends them.
pub(crate) struct AppWebhookSender {
    pub(crate) worker: WorkerId,
    pub(crate) webhooks: Arc<dyn AppWebhooks>,
    pub(crate) client: AppWebhookClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl AppWebhookSender {
    /// Leases and sends webhooks until the node drains.
    pub(crate) async fn run(self) {
        let lease = self.client.timeout() + LEASE_MARGIN;
        let pace = Pace::new();
        let attempts = Arc::new(Attempts {
            webhooks: Arc::clone(&self.webhooks),
            client: self.client,
            pace: pace.clone(),
            clock: self.clock,
            entropy: self.entropy,
            outage: OutageReporter::new("send application webhooks"),
            metrics: self.metrics,
        });
        let outage = OutageReporter::new("lease application webhooks");
        let accepted = Arc::new(Notify::new());
        let mut ticks = PeriodicLoop::new(PERIOD, self.tasks.soft());
        while ticks.next_or_notified(&accepted).await {
            let free = pace.free();
            if free == 0 {
                continue;
            }
            let leased = match self.webhooks.lease_app_webhooks(&self.worker, free, lease).await {
                Ok(leased) => leased,
                Err(error) => {
                    report_failure(&outage, &error);
                    continue;
                }
            };
            outage.succeeded();
            for webhook in leased {
                let running = pace.start();
                let (attempts, accepted) = (Arc::clone(&attempts), Arc::clone(&accepted));
                self.tasks.each("application webhook", async move {
                    let is_receiver_there = attempts.send(webhook).await;
                    drop(running);
                    if is_receiver_there {
                        accepted.notify_one();
                    }
                });
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Time of a lease beyond the timeout of the request: for the body of the response, and for the outcome to be stored.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
