//! Each second, the events that nobody has relayed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lifecycle::Condition;
use store::Outbox;
use tokio_util::sync::CancellationToken;

use super::relay::Relay;
use crate::outage::Outage;
use crate::pace::Pace;

/// Looks for users with unsent events, and relays them.
pub(crate) struct Sweep {
    outbox: Arc<dyn Outbox>,
    relay: Arc<Relay>,
}

impl Sweep {
    pub(crate) fn new(outbox: Arc<dyn Outbox>, relay: Arc<Relay>) -> Self {
        Self { outbox, relay }
    }

    /// Until the node drains. The store is there while it answers.
    pub(crate) async fn run(self, store: Condition, drain: CancellationToken) {
        let outage = Outage::of("look for unsent events");
        let mut pace = Pace::new(PERIOD, drain);
        while pace.next().await {
            match self.outbox.users_with_unsent_events(USERS).await {
                Ok(users) => {
                    store.set(true);
                    outage.over();
                    stream::iter(&users)
                        .for_each_concurrent(AT_ONCE, |user| async {
                            self.relay.user(user).await;
                        })
                        .await;
                }
                Err(error) => {
                    store.set(false);
                    outage.met(&error);
                }
            }
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Users per sweep; the next one finds the others.
const USERS: usize = 256;

/// Relays at once. Each holds a connection to the database.
const AT_ONCE: usize = 4;
