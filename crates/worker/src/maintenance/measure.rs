//! Measurement of backlogs in the store, every 10 s. Each worker measures, so that no gauge depends on one of them; the queries read
//! indexes of their own, and counts are bounded.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OutageReporter, PeriodicLoop};
use store::vault::Vault;
use store::{AppWebhooks, KeyUses, Outbox, Retention, StoreError, TaskQueue};
use tokio_util::sync::CancellationToken;

use crate::metrics::{BacklogGauges, Backlogs};
use crate::outage::report_failure;

/// Measures backlogs, and the age of the vault key that encrypts.
pub(crate) struct BacklogMonitor {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) app_webhooks: Arc<dyn AppWebhooks>,
    pub(crate) tasks: Arc<dyn TaskQueue>,
    pub(crate) retention: Arc<dyn Retention>,
    pub(crate) key_uses: Arc<dyn KeyUses>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) gauges: BacklogGauges,
}

impl BacklogMonitor {
    /// Measures until the node drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let outage = OutageReporter::new("measure backlogs");
        let mut ticks = PeriodicLoop::new(PERIOD, drain);
        let mut key_in_use = None;
        while ticks.next().await {
            match self.measure(&mut key_in_use).await {
                Ok(()) => outage.succeeded(),
                Err(error) => report_failure(&outage, &error),
            }
        }
    }

    /// Measures the backlogs, and the age of the vault key if another one is in use than before.
    async fn measure(&self, key_in_use: &mut Option<String>) -> Result<(), StoreError> {
        self.gauges.measured(Backlogs {
            outbox: self.outbox.outbox_backlog().await?,
            app_webhooks: self.app_webhooks.app_webhook_backlog().await?,
            dead_tasks: self.tasks.dead_tasks().await?,
            prune_ages: self.retention.prune_ages().await?,
        });
        let key = self.vault.encryption_key();
        if key_in_use.as_ref() != Some(&key) {
            let age = self.key_uses.record_key_use(&key).await?;
            self.gauges.key_in_use(age);
            *key_in_use = Some(key);
        }
        Ok(())
    }
}

const PERIOD: Duration = Duration::from_secs(10);
