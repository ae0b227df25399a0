//! Life of a socket as a chain of types: each phase consumes the one before, so no request is served before the token is verified, and
//! dropping a phase releases its permit, its subscription and its place in the gauges.

mod accepted;
mod authenticated;
#[cfg(any(test, feature = "autobahn"))]
mod autobahn;
mod codec;
mod drain_close_delay;
mod draining;
mod handover;
mod join_rate;
mod link;
mod live;
mod replay;
mod resume;
mod shared_transport;
mod state;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use protocol::cluster::origin::Origin;
use tokio::time::Instant;

pub(crate) use self::accepted::Authentication;
pub(crate) use self::authenticated::Joining;
#[cfg(feature = "autobahn")]
pub use self::autobahn::serve_echo;
pub(crate) use self::drain_close_delay::DrainWindow;
pub(crate) use self::handover::HandoverCounts;
pub(crate) use self::join_rate::JoinRate;
pub(crate) use self::link::LinkSettings;
pub(crate) use self::live::Serving;
pub(crate) use self::resume::Resumption;
pub(crate) use self::state::Bounds;

use self::accepted::Accepted;
use self::draining::{ClosedSocket, Draining};
use self::link::Link;
use self::live::Served;
use crate::handshake::upgrade::Upgrade;
use crate::join_checks::JoinChecks;
use crate::label::Label;
use crate::listener::Stream;
use crate::listener::admission::Admission;
use crate::listener::client::Client;
use crate::listener::pending::PendingPermit;
use crate::metrics::Metrics;
use crate::socket::CloseReason;

/// Phases of all sockets of a gateway, each with the services that it uses.
pub(crate) struct Connections {
    /// Settings of every socket.
    pub(crate) links: LinkSettings,
    /// Authentication phase: upgrade to token.
    pub(crate) authentication: Authentication,
    /// Join phase: token to subscription.
    pub(crate) joining: Joining,
    /// Live phase.
    pub(crate) serving: Serving,
    /// Checks of sockets that have joined.
    pub(crate) join_checks: Arc<JoinChecks>,
    /// Permits for another CONNECT on an open socket.
    pub(crate) admission: Admission,
    /// Time for the peer's part of a close.
    pub(crate) close_within: Duration,
    /// Counts of the sockets that a drain closes.
    pub(crate) handover: Arc<HandoverCounts>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Connections {
    /// Serves a stream that has just become a WebSocket, to its end. Its connection was `accepted` then. Opened before the first poll: as
    /// arguments of an asynchronous function, stream and upgrade would take memory for as long as the socket is open.
    pub(crate) fn serve(
        &self,
        stream: Stream,
        upgrade: Upgrade,
        client: Client,
        (permit, accepted): (PendingPermit, Instant),
    ) -> impl Future<Output = ()> {
        let unauthenticated = Box::new(self.open(stream, upgrade, &client, permit));
        self.run(unauthenticated, client, accepted)
    }

    async fn run(&self, unauthenticated: Box<Accepted>, client: Client, accepted: Instant) {
        let draining = self.live(unauthenticated, client, accepted).await;
        if let Some(ended_at) = draining.session_ended_at() {
            self.links.durations.revocation_closed(ended_at);
        }
        let ClosedSocket { close_reason, pending } = Box::pin(draining.flush(self.close_within)).await;
        if close_reason == CloseReason::Restart {
            self.handover.add(pending);
        }
        self.metrics.closed(close_reason);
        tracing::debug!(reason = close_reason.label(), "socket closed");
    }

    /// Takes a stream that has just become a WebSocket.
    fn open(&self, stream: Stream, upgrade: Upgrade, client: &Client, permit: PendingPermit) -> Accepted {
        let link = Link::new(stream, &upgrade.protocol, upgrade.deflate.as_ref(), &self.links);
        let origin = Origin::of_peer(client.address(), upgrade.user_agent);
        self.authentication.open(link, upgrade.protocol, origin, permit)
    }

    /// Runs the phases up to the end. A Socket.IO client may disconnect and connect again on the same WebSocket, as if on a new one. The
    /// phases are boxed: inline, the task of a socket would hold the memory of each for as long as the socket is open.
    async fn live(&self, mut accepted: Box<Accepted>, client: Client, since: Instant) -> Draining {
        let mut connecting_since = Some(since);
        loop {
            let authenticated = match Box::pin(accepted.authenticate(&self.authentication)).await {
                Ok(authenticated) => authenticated,
                Err(draining) => return draining,
            };
            let (live, hint) = match Box::pin(authenticated.join(&self.joining)).await {
                Ok(joined) => joined,
                Err(draining) => return draining,
            };
            if let Some(since) = connecting_since.take() {
                self.metrics.connect_duration(since.elapsed());
            }
            self.join_checks.add(live.caller(), live.is_recovered(), hint);
            match live.serve(&self.serving).await {
                Served::Left(link, origin) => match self.admission.admit(client.limited_address(), Instant::now()) {
                    Ok(permit) => accepted = Box::new(Accepted::reconnecting(link, origin, permit)),
                    Err(reason) => {
                        self.metrics.refused(reason);
                        return Draining::unauthenticated(link, CloseReason::JoinRate);
                    }
                },
                Served::Ended(draining) => return draining,
            }
        }
    }
}
