//! Detection of lost event logs. Redis may restart empty, or fail over to a replica that is behind: the recent events of all
//! users are then published again, and the bus drops those that it still has. A user with a newer event meanwhile does not wait
//! for it: the relay of that event restores the user's log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{BusError, Events};
use futures_util::{StreamExt, stream};
use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use store::{Outbox, StoreError};
use tokio_util::sync::CancellationToken;

use super::relay::OutboxRelay;
use crate::outage::report_failure;

/// Watch over the event logs of the bus.
pub(crate) struct EventLogWatch {
    pub(crate) events: Arc<dyn Events>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) relay: Arc<OutboxRelay>,
}

impl EventLogWatch {
    /// Watches the epoch of a probe user's event log until the node drains. The epoch changes when the event logs were lost.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let probe = probe();
        let outage = OutageReporter::new("look for a loss of event logs");
        let mut known: Option<Epoch> = None;
        let mut ticks = PeriodicLoop::new(PERIOD, drain.clone());
        while ticks.next().await {
            let epoch = match self.epoch_of(&probe).await {
                Ok(epoch) => epoch,
                Err(error) => {
                    report_failure(&outage, &error);
                    continue;
                }
            };
            outage.succeeded();
            if known.is_some() && known != epoch {
                tracing::warn!("event logs lost by the bus, recent events are published again");
                match drain.run_until_cancelled(self.restore_recent()).await {
                    Some(Ok(true)) => {}
                    // Tried again.
                    Some(Ok(false)) => continue,
                    Some(Err(error)) => {
                        report_failure(&outage, &error);
                        continue;
                    }
                    None => return,
                }
            }
            known = epoch;
        }
    }

    async fn epoch_of(&self, user: &UserId) -> Result<Option<Epoch>, BusError> {
        let offsets = self.events.offsets(std::slice::from_ref(user)).await?;
        Ok(offsets.into_iter().next().map(|offset| offset.epoch))
    }

    /// Restores the event logs of all users with recent events; false if some are not.
    async fn restore_recent(&self) -> Result<bool, StoreError> {
        let all_restored = AtomicBool::new(true);
        let mut last: Option<UserId> = None;
        loop {
            let users = self.outbox.users_with_recent_events(last.as_ref(), USERS).await?;
            stream::iter(&users)
                .for_each_concurrent(AT_ONCE, |user| async {
                    if !self.relay.restore(user).await {
                        all_restored.store(false, Ordering::Relaxed);
                    }
                })
                .await;
            if users.len() < USERS {
                return Ok(all_restored.into_inner());
            }
            last = users.into_iter().next_back();
        }
    }
}

#[expect(clippy::expect_used, reason = "printable ASCII")]
fn probe() -> UserId {
    UserId::new("postern worker probe").expect("the name is an id")
}

const PERIOD: Duration = Duration::from_secs(5);

/// Users per page.
const USERS: usize = 10_000;

/// Concurrent restores. Each uses one database connection.
const AT_ONCE: usize = 4;
