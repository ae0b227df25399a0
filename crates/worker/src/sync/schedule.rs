//! Accounts whose time has come, whoever linked them, shared among the workers.

use std::sync::Arc;
use std::time::Duration;

use protocol::fault::chain;
use store::Taken;
use tokio::sync::{Notify, Semaphore};

use super::Syncer;
use super::turn::LEASE;
use crate::outage::Outage;
use crate::pace::Pace;

/// Takes the turns of due accounts.
pub(crate) struct Schedule(pub(crate) Syncer);

impl Schedule {
    /// Until the node drains.
    pub(crate) async fn run(self) {
        let Self(syncer) = self;
        let platforms = syncer.offered.all();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let freed = Arc::new(Notify::new());
        let outage = Outage::of("take the turns of syncs");
        let mut pace = Pace::new(PERIOD, syncer.tasks.soft());
        while pace.next_or(&freed).await {
            let free = room.available_permits();
            if free == 0 {
                continue;
            }
            let due = match syncer.store.take_due_turns(&platforms, free, LEASE).await {
                Ok(due) => due,
                Err(error) => {
                    outage.met(&error);
                    continue;
                }
            };
            outage.over();
            let more = due.len() == free;
            for taken in due {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    break;
                };
                let (syncer, freed) = (syncer.clone(), Arc::clone(&freed));
                syncer.tasks.clone().each("sync", async move {
                    syncer.due(taken).await;
                    drop(place);
                    if more {
                        freed.notify_one();
                    }
                });
            }
        }
    }
}

impl Syncer {
    async fn due(&self, taken: Taken) {
        let (user, account) = (taken.turn.user.clone(), taken.turn.account);
        self.metrics.sync_lag(account, taken.late);
        if let Err(error) = self.sync(taken, None).await {
            tracing::debug!(%user, platform = %account, error = chain(&error), "not synced");
        }
        self.relay.user(&user).await;
    }
}

const PERIOD: Duration = Duration::from_millis(500);

/// Syncs at once, beside those that clients ask for.
const AT_ONCE: usize = 16;
