//! The shell around [`State`]: one loop that waits for whatever comes first, and obeys.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::{Dialect, Message, socketio};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::batch::Batching;
use super::codec::{Codec, Said};
use super::dismissal::Dismissal;
use super::ending::Ending;
use super::outbound::Outbound;
use super::state::{Bounds, Effect, Input, State};
use super::transport::{Happened, Transport};
use super::turn::Turn;
use crate::deflate::PerMessageDeflate;
use crate::handshake::upgrade::Protocol;
use crate::listener::Stream;
use crate::settings::Heartbeat;

/// A socket with its heartbeat, its deadlines and its queue, before and after the token. Each phase of a connection holds it in
/// a box and hands it on.
pub(super) struct Link {
    transport: Transport,
    codec: Codec,
    state: State,
    outbound: Arc<Outbound>,
    dismissal: Arc<Dismissal>,
    /// The one timer of the socket.
    timer: Pin<Box<Sleep>>,
    turn: Turn,
}

/// What a peer said.
pub(super) struct Heard {
    /// The thing itself.
    pub(super) said: Said,
    /// It is not to be served: the peer says too much, and the next is free after this long.
    pub(super) held_back: Option<Duration>,
}

impl Link {
    /// A link over a stream that has just become a WebSocket.
    pub(super) fn new(
        stream: Stream,
        protocol: &Protocol,
        deflate: Option<PerMessageDeflate>,
        bounds: Bounds,
        turn: Turn,
    ) -> Box<Self> {
        let state = State::new(bounds, Instant::now());
        Box::new(Self {
            transport: Transport::new(stream, deflate.clone()),
            codec: Codec::new(protocol),
            timer: Box::pin(sleep_until(state.wake_at())),
            state,
            outbound: Arc::new(Outbound::new(deflate)),
            dismissal: Arc::default(),
            turn,
        })
    }

    /// The queue that others fill.
    pub(super) fn outbound(&self) -> &Arc<Outbound> {
        &self.outbound
    }

    /// How others end the socket.
    pub(super) fn dismissal(&self) -> &Arc<Dismissal> {
        &self.dismissal
    }

    /// The dialect to answer in.
    pub(super) fn dialect(&self) -> Dialect {
        self.codec.dialect()
    }

    /// The heartbeat that the client is told.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        self.state.heartbeat()
    }

    /// Has feed events wait for each other so long, or not at all.
    pub(super) fn batch(&self, every: Option<Duration>) {
        let array = match self.codec {
            Codec::Native(encoding) => Some(encoding),
            Codec::SocketIo(_) => None,
        };
        self.outbound.set_batching(every.map(|every| Batching { every, array }));
    }

    /// Tells a Socket.IO client that this namespace is not served. The socket stays.
    pub(super) fn refuse_namespace(&self, namespace: &str) {
        let refusal = socketio::connect_error(self.dialect(), namespace, "Invalid namespace", None);
        self.send(refusal);
    }

    /// Queues a message of the connection's own.
    pub(super) fn send(&self, message: Message) {
        self.outbound.push(message);
    }

    /// The client proved itself: the socket lives until its token's end.
    pub(super) fn proven(&mut self, until: Instant) -> Result<(), Ending> {
        self.feed(Input::Proven { until }).map(drop)
    }

    /// The client left and kept the socket. Whoever comes next on it has a queue of its own: what still comes for the one who left
    /// goes nowhere.
    pub(super) fn left(&mut self) -> Result<(), Ending> {
        self.outbound.close();
        self.outbound = Arc::new(Outbound::new(self.outbound.deflate().cloned()));
        self.dismissal = Arc::default();
        self.feed(Input::Left).map(drop)
    }

    /// How long a client of a draining node is asked to wait before it comes back.
    pub(super) fn reconnect_after(&self) -> Duration {
        self.turn.reconnect_after()
    }

    /// What the peer says next. Meanwhile what is queued is sent, pings are sent and answered, and deadlines are kept. Nothing is
    /// lost when it is dropped while pending.
    ///
    /// # Errors
    /// Why the socket is to end.
    pub(super) async fn next(&mut self) -> Result<Heard, Ending> {
        loop {
            let batch_due = self.outbound.batch_due();
            let wake_at = batch_due.map_or(self.state.wake_at(), |due| due.min(self.state.wake_at()));
            if self.timer.deadline() != wake_at {
                self.timer.as_mut().reset(wake_at);
            }
            let happened = tokio::select! {
                biased;
                () = &mut self.timer => {
                    self.outbound.send_batch_due(Instant::now());
                    self.feed(Input::Tick)?;
                    continue;
                }
                ending = self.dismissal.said() => {
                    if ending != Ending::Resync {
                        return Err(ending);
                    }
                    // All sockets of the node may have lost events at once.
                    let at = self.turn.draw();
                    self.feed(Input::Leave { at, ending })?;
                    continue;
                }
                at = self.turn.comes() => {
                    self.feed(Input::Leave { at, ending: Ending::Restart })?;
                    continue;
                }
                () = poll_fn(|cx| self.outbound.poll_batch_due(batch_due, cx)) => continue,
                happened = poll_fn(|cx| self.transport.poll_happened(&self.outbound, cx)) => happened,
            };
            let input = match happened {
                Happened::Message(message) => match self.read(&message)? {
                    Some(heard) => return Ok(heard),
                    None => continue,
                },
                Happened::Ping => Input::Message,
                Happened::Pong => Input::Pong,
                Happened::Blocked => Input::Blocked,
                Happened::Flowing => Input::Flowing,
                Happened::Overflowed => Input::Overflowed,
                Happened::Ended(ending) => return Err(ending),
            };
            self.feed(input)?;
        }
    }

    /// Ends the socket: sends what is queued and says why, all within a deadline.
    pub(super) async fn end(&mut self, ending: Ending, reason: &str, within: Duration) {
        if ending.flushes() {
            self.outbound.send_batch();
            drop(timeout(within, self.transport.flush(&self.outbound)).await);
        }
        self.outbound.close();
        let code = ending.code().map(|code| (code, reason));
        self.transport.close(code, within).await;
    }

    /// Sends whatever is queued until `done`, within a deadline. The peer is not heard any more.
    pub(super) async fn send_until(&mut self, done: impl Future<Output = ()>, within: Duration) {
        tokio::select! {
            () = self.transport.keep_sending(&self.outbound) => {}
            () = done => {}
            () = sleep(within) => {}
        }
    }

    /// Reads a message; `None` when it says nothing to the connection above.
    fn read(&mut self, message: &Message) -> Result<Option<Heard>, Ending> {
        let said = self.codec.decode(message).map_err(|error| {
            tracing::debug!(%error, "framing is broken");
            Ending::BadFrame
        })?;
        if said == Said::Pong {
            self.feed(Input::Pong)?;
            return Ok(None);
        }
        let held_back = self.feed(Input::Message)?;
        Ok((said != Said::Nothing).then_some(Heard { said, held_back }))
    }

    /// Feeds the state and obeys. A message that is to be held back is left to the caller.
    fn feed(&mut self, input: Input) -> Result<Option<Duration>, Ending> {
        match self.state.on(input, Instant::now()) {
            None => Ok(None),
            Some(Effect::HoldBack(wait)) => Ok(Some(wait)),
            Some(Effect::End(ending)) => Err(ending),
            Some(Effect::Ping) => {
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
