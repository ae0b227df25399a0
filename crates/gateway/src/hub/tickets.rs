//! Signs of life for the tickets of this gateway's sockets, and the end of those that hold theirs no longer.

use std::sync::Arc;
use std::time::Duration;

use bus::Hold;
use protocol::fault::chain;
use protocol::id::{TicketId, UserId};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::seats::Rooms;
use crate::connection::Ending;

impl Hub {
    /// Gives signs of life until the node is done. A ticket outlives several that fail.
    pub(crate) async fn keep_tickets(self: Arc<Self>, soft: CancellationToken) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                _ = every.tick() => self.keep_all().await,
            }
        }
    }

    async fn keep_all(&self) {
        let holds = self.rooms().holds();
        for holds in holds.chunks(BATCH) {
            match self.bus.keep(holds).await {
                Ok(kept) => {
                    let lost = holds.iter().zip(kept).filter(|(_, kept)| !kept);
                    let mut rooms = self.rooms();
                    lost.for_each(|(hold, _)| rooms.redeemed(&hold.key.user, &hold.key.id, hold.redemption + 1));
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "tickets were not kept, and will be later");
                    return;
                }
            }
        }
    }
}

impl Rooms {
    /// A ticket was redeemed so many times: whoever holds it by an earlier redemption is a socket that its client has left. The
    /// link may be dead and nobody have noticed.
    pub(super) fn redeemed(&mut self, user: &UserId, ticket: &TicketId, redemption: u64) {
        let places = self.places(user);
        let outdated = places.filter(
            |place| matches!(place.held(), Some(hold) if hold.key.id == *ticket && hold.redemption < redemption),
        );
        outdated.for_each(|place| place.end(Ending::Replaced));
    }

    fn holds(&self) -> Vec<Hold> {
        self.all_places().filter_map(|place| place.held().cloned()).collect()
    }
}

/// How often there is a sign of life.
const EVERY: Duration = Duration::from_secs(30);
/// How many tickets are kept at once.
const BATCH: usize = 500;
