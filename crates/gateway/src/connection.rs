//! The life of a socket, as a chain of types: each step takes the one before, so nothing is served before the token, and whatever is
//! dropped gives back its permit, its seat and its place in the gauges.

mod accepted;
mod authenticated;
pub(crate) mod batch;
mod codec;
mod dismissal;
mod draining;
mod ending;
mod joins;
mod live;
pub(crate) mod outbound;
pub(crate) mod outgoing;
mod replay;
mod resume;
mod state;
mod task;
mod transport;
mod turn;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use lifecycle::{Clock, Entropy};
use protocol::cluster::origin::Origin;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::authenticated::until;
pub(crate) use self::dismissal::Dismissal;
pub(crate) use self::ending::Ending;
pub(crate) use self::joins::Joins;

use self::accepted::Accepted;
use self::draining::Draining;
use self::live::Served;
use self::state::Bounds;
use self::task::Link;
use self::turn::Turn;
use crate::command::Commands;
use crate::deflate::DeflatePool;
use crate::handshake::authenticator::Authenticator;
use crate::handshake::upgrade::Upgrade;
use crate::hub::Hub;
use crate::listener::Stream;
use crate::listener::admission::Admission;
use crate::listener::pending::PendingPermit;
use crate::listener::tcp::rate_limit_address;
use crate::metrics::Metrics;
use crate::newcomers::Newcomers;
use crate::presence::Presence;
use crate::session::Sessions;
use crate::settings::{Heartbeat, Rate, Timing};

/// What all sockets of a gateway are served with.
pub(crate) struct Connections {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) event_rate: Option<Rate>,
    pub(crate) joins: Joins,
    pub(crate) admission: Admission,
    pub(crate) deflation: DeflatePool,
    pub(crate) batch_interval: Duration,
    pub(crate) timing: Timing,
    pub(crate) drain_window: Duration,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) newcomers: Arc<Newcomers>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the node begins to drain.
    pub(crate) soft: CancellationToken,
}

impl Connections {
    /// Serves a stream that has just become a WebSocket, to its end.
    pub(crate) async fn serve(&self, stream: Stream, upgrade: Upgrade, peer: IpAddr, permit: PendingPermit) {
        let deflate = upgrade.deflate.map(|agreement| self.deflation.of(&agreement));
        let turn = Turn::new(&self.soft, self.drain_window, Arc::clone(&self.entropy));
        let link = Link::new(stream, &upgrade.protocol, deflate, self.bounds(), turn);
        let origin = Origin::of_peer(peer, upgrade.user_agent);
        let accepted = Accepted::open(link, upgrade.protocol, origin, permit, &*self.entropy);
        let draining = self.live(accepted, peer).await;
        let ending = draining.flush(self.timing.close).await;
        self.metrics
            .closed(ending.code().map_or(0, |code| code.as_u16()), ending.label());
        tracing::debug!(why = ending.label(), "the socket has ended");
    }

    /// From one phase to the next. A Socket.IO client may leave and come back on the same socket, as if on a new one.
    async fn live(&self, mut accepted: Accepted, peer: IpAddr) -> Draining {
        loop {
            let authenticated = match accepted.authenticate(self).await {
                Ok(authenticated) => authenticated,
                Err(draining) => return draining,
            };
            let live = match authenticated.join(self).await {
                Ok(live) => live,
                Err(draining) => return draining,
            };
            self.newcomers.tell(live.caller(), live.is_recovered());
            match live.serve(self).await {
                Served::Left(link, origin) => match self.admission.admit(rate_limit_address(peer), Instant::now()) {
                    Ok(permit) => accepted = Accepted::left(link, origin, permit),
                    Err(reason) => {
                        self.metrics.refused(reason);
                        return Draining::unproven(link, Ending::JoinRate);
                    }
                },
                Served::Ended(draining) => return draining,
            }
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            heartbeat: self.heartbeat,
            authentication: self.timing.authentication,
            write: self.timing.write,
            rate: self.event_rate,
        }
    }
}
