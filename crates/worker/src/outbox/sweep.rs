//! Sweep of the outbox: each second, relays events that were left unsent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lifecycle::{OutageReporter, PeriodicLoop};
use store::Outbox;
use tokio_util::sync::CancellationToken;

use super::relay::OutboxRelay;
use crate::outage::report_failure;

/// Finds users with unsent events, and relays those.
pub(crate) struct Sweep {
    outbox: Arc<dyn Outbox>,
    relay: Arc<OutboxRelay>,
}

impl Sweep {
    pub(crate) fn new(outbox: Arc<dyn Outbox>, relay: Arc<OutboxRelay>) -> Self {
        Self { outbox, relay }
    }

    /// Sweeps until the node drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let outage = OutageReporter::new("look for unsent events");
        let mut ticks = PeriodicLoop::new(PERIOD, drain);
        while ticks.next().await {
            match self.outbox.users_with_unsent_events(USERS).await {
                Ok(users) => {
                    outage.succeeded();
                    stream::iter(&users)
                        .for_each_concurrent(AT_ONCE, |user| async {
                            self.relay.user(user).await;
                        })
                        .await;
                }
                Err(error) => report_failure(&outage, &error),
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Users per sweep; the next sweep finds the others.
const USERS: usize = 256;

/// Concurrent relays. Each uses one database connection.
const AT_ONCE: usize = 4;
