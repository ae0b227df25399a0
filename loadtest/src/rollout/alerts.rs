//! Numbered alerts, published to each user one after the other, each until it is accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::publisher::{Api, Publisher};

/// Running publishers.
pub(super) struct Alerts {
    tasks: JoinSet<(String, u64)>,
    enough: Arc<AtomicBool>,
    retries: Arc<AtomicU64>,
}

/// Publisher of one user.
struct UserAlerts {
    user: String,
    interval: Duration,
    /// Distinguishes the idempotency keys of this run.
    run: u64,
    enough: Arc<AtomicBool>,
    retries: Arc<AtomicU64>,
    publisher: Publisher,
}

impl Alerts {
    /// Publishes alerts 1, 2, 3 and so on to each user.
    #[expect(clippy::disallowed_methods, reason = "a load run happens now")]
    pub(super) fn start(users: impl Iterator<Item = String>, api: &Api, interval: Duration) -> anyhow::Result<Self> {
        let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (enough, retries) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for user in users {
            let alerts = UserAlerts {
                user,
                interval,
                run,
                enough: Arc::clone(&enough),
                retries: Arc::clone(&retries),
                publisher: Publisher::new(vec![api.clone()], 0)?,
            };
            tasks.spawn(alerts.run());
        }
        Ok(Self { tasks, enough, retries })
    }

    /// Number of requests that were repeated because they were not accepted.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Publishes one more alert to each user; returns the last number of each.
    pub(super) async fn stop(&mut self, within: Duration) -> anyhow::Result<BTreeMap<String, u64>> {
        self.enough.store(true, Ordering::Relaxed);
        let mut last = BTreeMap::new();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                last.extend([ended?]);
            }
            Ok::<_, anyhow::Error>(())
        };
        timeout(within, ended)
            .await
            .context("the internal API does not accept alerts")??;
        Ok(last)
    }
}

impl UserAlerts {
    async fn run(mut self) -> (String, u64) {
        let mut ticks = interval(self.interval);
        // No burst after an outage.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            ticks.tick().await;
            let is_last = self.enough.load(Ordering::Relaxed);
            number += 1;
            while self.publish(number).await.is_err() {
                self.retries.fetch_add(1, Ordering::Relaxed);
                sleep(RETRY).await;
            }
            if is_last {
                return (self.user, number);
            }
        }
    }

    async fn publish(&mut self, number: u64) -> anyhow::Result<()> {
        let alert = json!({
            "event": "security:alert",
            "idempotencyKey": format!("{}-{}-{number}", self.user, self.run),
            "data": {"severity": "low", "type": "suspicious_login", "message": number.to_string(), "requiresAction": false},
        });
        timeout(PATIENCE, self.publisher.publish(&self.user, &alert)).await?
    }
}

/// Timeout of a request.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);
