//! Renewal of the resume tokens of this gateway's sockets, and the close of sockets whose token another socket has redeemed.

use std::sync::Arc;
use std::time::Duration;

use bus::ResumeLease;
use lifecycle::PeriodicLoop;
use protocol::id::{ResumeTokenId, UserId};
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::channels::UserChannels;
use crate::socket::CloseReason;

impl Hub {
    /// Renews the resume tokens until the node is done. A token outlives several failed renewals.
    pub(crate) async fn renew_resume_tokens(self: Arc<Self>, soft: CancellationToken) {
        let mut ticks = PeriodicLoop::new(RENEW_EVERY, soft);
        while ticks.next().await {
            self.renew_all().await;
        }
    }

    async fn renew_all(&self) {
        let states = self.channels().resume_states();
        for states in states.chunks(BATCH) {
            let renewed = self.resume_tokens.renew_tokens(states).await;
            match self.outage.record("resume token renewal", renewed) {
                Ok(renewed) => {
                    let lost = states.iter().zip(renewed).filter(|(_, renewed)| !renewed);
                    let mut channels = self.channels();
                    lost.for_each(|(state, _)| {
                        channels.redeemed(&state.key.user, &state.key.id, state.redemption + 1);
                    });
                }
                // The next round renews them.
                Err(_) => return,
            }
        }
    }
}

impl UserChannels {
    /// Closes the socket that redeemed a resume token before this redemption: its client has left it, even if its link still looks alive.
    pub(super) fn redeemed(&mut self, user: &UserId, token: &ResumeTokenId, redemption: u64) {
        let outdated = self.subscribers(user).filter(|subscriber| {
            let state = subscriber.resume_state();
            state.is_some_and(|state| state.key.id == *token && state.redemption < redemption)
        });
        outdated.for_each(|subscriber| subscriber.close(CloseReason::Replaced));
    }

    fn resume_states(&self) -> Vec<ResumeLease> {
        let subscribers = self.all_subscribers();
        subscribers
            .filter_map(|subscriber| subscriber.resume_state().cloned())
            .collect()
    }
}

const RENEW_EVERY: Duration = Duration::from_secs(30);
/// Resume tokens of one renewal.
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
    use telemetry::trace::DeliverySampling;

    use super::*;
    use crate::bus_outage::BusOutage;
    use crate::bus_roles::BusRoles;
    use crate::hub::SubscribedSocket;
    use crate::metrics::Metrics;
    use crate::socket::{ClientEncoding, CloseRequest};

    #[tokio::test]
    async fn redemption_without_announcement_closes_the_earlier_socket_at_the_next_renewal() {
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new(Arc::new(SeededEntropy::new(7))));
        let metrics = Metrics::new(&Registry::new("test").meter(), &Tasks::new());
        let (feed, _unread) = bus.listen().await.unwrap();
        let hub = Hub::new(
            &BusRoles::from(Arc::clone(&bus)),
            Arc::new(BusOutage::new()),
            feed,
            DeliverySampling::NONE,
            Arc::new(metrics),
        );
        let (user, session) = (UserId::new("u").unwrap(), SessionId::new("s").unwrap());
        let (connection, close_request) = (ConnectionId::new("c").unwrap(), Arc::new(CloseRequest::default()));
        let key = ResumeTokenKey {
            user: user.clone(),
            id: ResumeTokenId::new("t").unwrap(),
        };
        let token = ResumeToken {
            session: session.clone(),
            connection: connection.clone(),
            start: bus.offsets(std::slice::from_ref(&user)).await.unwrap().remove(0),
        };
        let socket = SubscribedSocket {
            session_hints: tokio::sync::mpsc::channel(1).0,
            connection,
            session: session.clone(),
            encoding: ClientEncoding::new(Dialect::SocketIo, true),
            outbound: Arc::default(),
            close_request: Arc::clone(&close_request),
        };
        let (subscriber, _) = hub.channels().subscribe(&user, socket);
        let state = bus.issue_token(&key, &token, 128).await.unwrap();
        hub.channels()
            .subscriber(&user, subscriber)
            .unwrap()
            .set_resume_state(state);

        hub.renew_all().await;
        assert_eq!(
            close_request.requested().now_or_never(),
            None,
            "it redeemed the token last"
        );
        bus.redeem_token(&key, &session, Timestamp::from_millis(1))
            .await
            .unwrap()
            .unwrap();
        hub.renew_all().await;
        assert_eq!(close_request.requested().now_or_never(), Some(CloseReason::Replaced));
    }
}
