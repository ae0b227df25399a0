//! WebSocket of one client with its heartbeat, its deadlines and its queue: one loop around [`LinkState`], which decides.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::answer::Failure;
use protocol::event::{ErrorNotice, Notice, name};
use protocol::wire::socketio::{self, RefusalData};
use protocol::wire::{Dialect, Message, RequestId};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::codec::{ClientMessage, Codec, ROOT};
use super::drain_close_delay::{CloseDelay, DrainWindow};
use super::shared_transport::SharedTransport;
use super::state::{Bounds, Input, LinkEffect, LinkState};
use super::transport::{Transport, TransportEvent};
use crate::deflate::{DeflateParams, DeflatePool};
use crate::handshake::upgrade::Protocol;
use crate::listener::Stream;
use crate::metrics::BusDurations;
use crate::settings::Heartbeat;
use crate::socket::{Batching, ClientEncoding, CloseReason, CloseRequest, OutboundQueue};

/// Settings of every link of a gateway.
pub(crate) struct LinkSettings {
    pub(crate) deflation: DeflatePool,
    pub(crate) bounds: Bounds,
    pub(crate) drain: DrainWindow,
    /// Latencies of deliveries.
    pub(crate) durations: Arc<BusDurations>,
}

/// WebSocket of one client, before and after authentication. The phases of a connection pass it on in a box.
pub(super) struct Link {
    transport: Arc<SharedTransport>,
    codec: Codec,
    state: LinkState,
    outbound: Arc<OutboundQueue>,
    close_request: Arc<CloseRequest>,
    /// Only timer of the socket.
    timer: Pin<Box<Sleep>>,
    drain: CloseDelay,
}

/// Received message of a client.
pub(super) struct Received {
    pub(super) message: ClientMessage,
    /// Set if the client exceeded its rate: the message is not to be served, and the next one is admitted after this time.
    pub(super) retry_after: Option<Duration>,
}

impl Link {
    /// Takes a stream that has just become a WebSocket.
    pub(super) fn new(
        stream: Stream,
        protocol: &Protocol,
        deflate: Option<&DeflateParams>,
        settings: &LinkSettings,
    ) -> Box<Self> {
        let deflate = deflate.map(|agreement| settings.deflation.of(agreement));
        let state = LinkState::new(settings.bounds, Instant::now());
        let transport = Arc::new(SharedTransport::new(Transport::new(stream, deflate.clone())));
        let writer = Arc::downgrade(&transport);
        let outbound = OutboundQueue::new(deflate, Arc::clone(&settings.durations)).written_by(writer);
        Box::new(Self {
            transport,
            codec: Codec::new(protocol),
            timer: Box::pin(sleep_until(state.wake_at())),
            state,
            outbound: Arc::new(outbound),
            close_request: Arc::default(),
            drain: settings.drain.delay(),
        })
    }

    /// Outbound queue of the socket.
    pub(super) fn outbound(&self) -> &Arc<OutboundQueue> {
        &self.outbound
    }

    /// Close request of the socket.
    pub(super) fn close_request(&self) -> &Arc<CloseRequest> {
        &self.close_request
    }

    /// Dialect of the answers.
    pub(super) fn dialect(&self) -> Dialect {
        self.codec.dialect()
    }

    /// Heartbeat of the socket.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.state.heartbeat()
    }

    /// Sets the batching interval of feed events; `None` is no batching.
    pub(super) fn batch(&self, every: Option<Duration>) {
        let array = match self.codec {
            Codec::Native(encoding) => Some(encoding),
            Codec::SocketIo(_) => None,
        };
        self.outbound.set_batching(every.map(|every| Batching { every, array }));
    }

    /// Refuses a CONNECT to a namespace that is not served. The socket stays open.
    pub(super) fn refuse_namespace(&self, namespace: &str) {
        let refusal = socketio::connect_error(self.dialect(), namespace, "Invalid namespace", None);
        self.send(refusal);
    }

    /// Refuses authentication. The client learns the kind of fault of its token; the values that claims are compared with are disclosed to
    /// nobody, and nothing about the claims before the signature is verified.
    pub(super) fn refuse_auth(&self, request: Option<&RequestId>, failure: Failure) {
        let encoding = ClientEncoding::new(self.dialect(), true);
        let Failure {
            error, reason, message, ..
        } = failure;
        if encoding.native().is_some() {
            let notice = Notice::Error(ErrorNotice {
                event: Some(name::AUTH.to_owned()),
                error,
                reason,
                message,
            });
            for message in encoding.answer(notice.name(), &notice.data(), request) {
                self.send(message);
            }
        } else {
            let data = RefusalData { code: error, reason };
            self.send(socketio::connect_error(self.dialect(), ROOT, &message, Some(data)));
        }
    }

    /// Queues a message.
    pub(super) fn send(&self, message: Message) {
        self.outbound.push(message);
    }

    /// Records that the client's token was verified and expires then.
    pub(super) fn authenticated(&mut self, expires: Instant) -> Result<(), CloseReason> {
        self.feed(Input::Authenticated { expires }).map(drop)
    }

    /// Records that the client disconnected and keeps the WebSocket. The next client on it gets a queue of its own, and messages for the
    /// previous one are dropped.
    pub(super) fn disconnected(&mut self) -> Result<(), CloseReason> {
        self.outbound.close();
        self.outbound = Arc::new(self.outbound.successor());
        self.close_request = Arc::default();
        self.feed(Input::Disconnected).map(drop)
    }

    /// Time that a client of a draining node is asked to wait before it reconnects.
    pub(super) fn reconnect_after(&self) -> Duration {
        self.drain.reconnect_after()
    }

    /// Waits for the next message of the client; meanwhile sends the queue, sends and answers pings, and enforces deadlines. Cancel
    /// safe.
    ///
    /// # Errors
    /// Reason for which the socket is to be closed.
    pub(super) async fn next(&mut self) -> Result<Received, CloseReason> {
        loop {
            let batch_due = self.outbound.batch_due();
            let wake_at = batch_due.map_or(self.state.wake_at(), |due| due.min(self.state.wake_at()));
            if self.timer.deadline() != wake_at {
                self.timer.as_mut().reset(wake_at);
            }
            let event = tokio::select! {
                biased;
                () = &mut self.timer => {
                    self.outbound.send_batch_due(Instant::now());
                    self.feed(Input::Tick)?;
                    continue;
                }
                reason = self.close_request.requested() => {
                    if reason != CloseReason::Resync {
                        return Err(reason);
                    }
                    // All sockets of the node may have missed events at once.
                    let at = self.drain.close_at();
                    self.feed(Input::CloseAt { at, reason })?;
                    continue;
                }
                at = self.drain.window_begins() => {
                    self.feed(Input::CloseAt { at, reason: CloseReason::Restart })?;
                    continue;
                }
                () = poll_fn(|cx| self.outbound.poll_batch_due(batch_due, cx)) => continue,
                event = poll_fn(|cx| self.transport.poll_event(&self.outbound, cx)) => event,
            };
            let input = match event {
                TransportEvent::Message(message) => match self.read(&message)? {
                    Some(received) => return Ok(received),
                    None => continue,
                },
                TransportEvent::Ping => Input::Message,
                TransportEvent::Pong => Input::Pong,
                TransportEvent::Blocked => Input::Blocked,
                TransportEvent::Flowing => Input::Flowing,
                TransportEvent::Overflowed => Input::Overflowed,
                TransportEvent::Ended(reason) => return Err(reason),
            };
            self.feed(input)?;
        }
    }

    /// Closes the socket: sends the queue and the Close frame, within a deadline.
    pub(super) async fn close(&mut self, reason: CloseReason, text: &str, within: Duration) {
        let Some(mut transport) = self.transport.take() else {
            return;
        };
        if reason.flushes() {
            self.outbound.send_batch();
            drop(timeout(within, transport.flush(&self.outbound)).await);
        }
        self.outbound.close();
        let code = reason.code().map(|code| (code, text));
        transport.close(code, within).await;
    }

    /// Sends the queue until `done`, within a deadline. Nothing more is read.
    pub(super) async fn send_until(&mut self, done: impl Future<Output = ()>, within: Duration) {
        let Some(mut transport) = self.transport.take() else {
            return;
        };
        tokio::select! {
            () = transport.keep_sending(&self.outbound) => {}
            () = done => {}
            () = sleep(within) => {}
        }
        self.transport.put(transport);
    }

    /// Decodes a message; `None` if it is of no concern to the phase above.
    fn read(&mut self, message: &Message) -> Result<Option<Received>, CloseReason> {
        let message = self.codec.decode(message).map_err(|error| {
            tracing::debug!(%error, "frame decoding failed, closing the socket");
            CloseReason::BadFrame
        })?;
        if message == ClientMessage::Pong {
            self.feed(Input::Pong)?;
            return Ok(None);
        }
        let retry_after = self.feed(Input::Message)?;
        Ok((message != ClientMessage::Incomplete).then_some(Received { message, retry_after }))
    }

    /// Feeds the state and carries out its effect. For a message over the rate, returns the time until the next is admitted.
    fn feed(&mut self, input: Input) -> Result<Option<Duration>, CloseReason> {
        match self.state.on(input, Instant::now()) {
            None => Ok(None),
            Some(LinkEffect::Reject(wait)) => Ok(Some(wait)),
            Some(LinkEffect::End(reason)) => Err(reason),
            Some(LinkEffect::Ping) => {
                self.ping();
                Ok(None)
            }
        }
    }

    fn ping(&mut self) {
        match self.codec {
            Codec::SocketIo(_) => self.send(socketio::ping()),
            Codec::Native(_) => self.transport.ping(),
        }
    }
}
