//! Delivery to the sockets of one user without a bus or a connection, for the benches.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::task::noop_waker_ref;
use lifecycle::Tasks;
use opentelemetry::metrics::Meter;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::{ConnectionId, SessionId, UserId};
use protocol::wire::Dialect;
use tokio::sync::mpsc;

use super::channels::{HubQuery, UserChannels};
use super::subscriber::SubscribedSocket;
use crate::metrics::Metrics;
use crate::socket::{ClientEncoding, CloseRequest, OutboundQueue};

/// Channel of a user with live sockets.
pub struct FanOut {
    channels: UserChannels,
    queues: Vec<Arc<OutboundQueue>>,
    unsent: Vec<Arc<OutboundQueue>>,
    user: UserId,
    offset: Offset,
    metrics: Metrics,
}

impl FanOut {
    /// Channel at this offset, with a socket of the session for each connection; the sockets have the four dialects in turn.
    #[must_use]
    pub fn new(user: UserId, session: &SessionId, connections: &[ConnectionId], offset: Offset, meter: &Meter) -> Self {
        let mut channels = UserChannels::default();
        let metrics = Metrics::new(meter, &Tasks::new());
        let dialects = DIALECTS.iter().cycle();
        let (ids, queues): (Vec<_>, Vec<_>) = connections
            .iter()
            .zip(dialects)
            .map(|(connection, dialect)| {
                let outbound = Arc::new(OutboundQueue::default());
                let socket = SubscribedSocket {
                    connection: connection.clone(),
                    session: session.clone(),
                    encoding: ClientEncoding::new(*dialect, true),
                    outbound: Arc::clone(&outbound),
                    session_hints: mpsc::channel(1).0,
                    close_request: Arc::new(CloseRequest::default()),
                };
                (channels.subscribe(&user, socket).0, outbound)
            })
            .unzip();
        if let Some(HubQuery::Subscribe(user, channel)) = channels.next_query() {
            channels.subscribed(&user, channel);
        }
        channels.opened(&user, offset.clone(), &metrics);
        for id in ids {
            channels.go_live(&user, id, &offset);
        }
        Self {
            channels,
            queues,
            unsent: Vec::new(),
            user,
            offset,
            metrics,
        }
    }

    /// Delivers the next event, and takes it from the sockets' queues; returns their number.
    pub fn deliver(&mut self, event: &Arc<Envelope>) -> usize {
        self.offset.seq += 1;
        self.channels
            .received(&self.user, self.offset.clone(), Arc::clone(event), &self.metrics);
        self.channels.swap_unsent(&mut self.unsent);
        self.unsent.clear();
        let mut context = Context::from_waker(noop_waker_ref());
        let taken = self.queues.iter().filter(|queue| {
            let popped = queue.poll_pop(&mut context);
            matches!(popped, Poll::Ready(Ok(_)))
        });
        taken.count()
    }
}

const DIALECTS: [Dialect; 4] = [
    Dialect::NativeJson,
    Dialect::NativeMsgpack,
    Dialect::SocketIo,
    Dialect::SocketIoMsgpack,
];
