//! Signs of life for the tickets of this gateway's sockets, and the end of those that hold theirs no longer.

use std::sync::Arc;
use std::time::Duration;

use bus::ResumeLease;
use protocol::fault::chain;
use protocol::id::{ResumeTokenId, UserId};
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
            match self.bus.renew_tokens(holds).await {
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
    pub(super) fn redeemed(&mut self, user: &UserId, ticket: &ResumeTokenId, redemption: u64) {
        let places = self.places(user);
        let outdated = places.filter(
            |place| matches!(place.held(), Some(hold) if hold.key.id == *ticket && hold.redemption < redemption),
        );
        outdated.for_each(|place| place.end(Ending::Replaced));
    }

    fn holds(&self) -> Vec<ResumeLease> {
        self.all_places().filter_map(|place| place.held().cloned()).collect()
    }
}

/// How often there is a sign of life.
const EVERY: Duration = Duration::from_secs(30);
/// How many tickets are kept at once.
const BATCH: usize = 500;

#[cfg(test)]
mod tests {
    use bus::{Bus, MemoryBus, ResumeToken, ResumeTokenKey};
    use futures_util::FutureExt;
    use lifecycle::{SeededEntropy, Tasks};
    use protocol::id::{ConnectionId, SessionId};
    use protocol::time::Timestamp;
    use protocol::wire::Dialect;
    use telemetry::metrics::Metrics as Registry;

    use super::*;
    use crate::connection::Dismissal;
    use crate::form::Form;
    use crate::hub::Subscriber;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_holder_that_did_not_hear_of_a_redemption_learns_of_it_at_its_next_sign_of_life() {
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new(Arc::new(SeededEntropy::new(7))));
        let metrics = Metrics::new(&Registry::new("test").meter(), &Tasks::new());
        // Nobody reads what it hears.
        let (feed, _unheard) = bus.listen().await.unwrap();
        let hub = Hub::new(Arc::clone(&bus), feed, Arc::new(metrics));
        let (user, session) = (UserId::new("u").unwrap(), SessionId::new("s").unwrap());
        let (connection, dismissal) = (ConnectionId::new("c").unwrap(), Arc::new(Dismissal::default()));
        let key = ResumeTokenKey {
            user: user.clone(),
            id: ResumeTokenId::new("t").unwrap(),
        };
        let ticket = ResumeToken {
            session: session.clone(),
            connection: connection.clone(),
            start: bus.offsets(std::slice::from_ref(&user)).await.unwrap().remove(0),
        };
        let subscriber = Subscriber {
            moved: tokio::sync::mpsc::channel(1).0,
            connection,
            session: session.clone(),
            form: Form::new(Dialect::SocketIo, true),
            outbound: Arc::default(),
            dismissal: Arc::clone(&dismissal),
        };
        let (seat, _) = hub.rooms().take_seat(&user, subscriber);
        let hold = bus.issue_token(&key, &ticket).await.unwrap();
        hub.rooms().place(&user, seat).unwrap().hold(hold);

        hub.keep_all().await;
        assert_eq!(dismissal.said().now_or_never(), None, "it is the holder");
        bus.redeem_token(&key, &session, Timestamp::from_millis(1))
            .await
            .unwrap()
            .unwrap();
        hub.keep_all().await;
        assert_eq!(dismissal.said().now_or_never(), Some(Ending::Replaced));
    }
}
