//! Task that owns a subscriber's connection: reconciles the server with the registry, passes messages on, and reports possible
//! losses.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fred::error::Error;
use fred::interfaces::EventInterface;
use fred::types::Message;
use fred::types::config::Server;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::commands::{apply, count_subscriptions};
use super::probe::Probe;
use super::registry::{Batch, BatchResult};
use super::{BATCH, HEARTBEAT, MessageHandler, Missed, SubscriberConfig, SubscriberState};
use crate::BusError;
use crate::metrics::Metrics;
use crate::redis::client::Client;
use crate::redis::client::command_failure::refusal;
use crate::redis::client::connection::Connection;
use crate::redis::client::connector::{Connector, Purpose};

/// Owner of a subscriber's connection and its state.
pub(super) struct SubscriberTask<L> {
    shared: Arc<SubscriberState>,
    handler: L,
    connector: Connector,
    purpose: Purpose,
    connection: Connection,
    messages: broadcast::Receiver<Message>,
    reconnects: broadcast::Receiver<Server>,
    commands: Client,
    metrics: Metrics,
    probe_channel: String,
    probe: Probe,
    /// True from the loss of a connection until all desired channels are confirmed on the new one. Messages received meanwhile
    /// may follow a gap, so they are dropped and covered by the `on_missed` at the end.
    resubscribing: bool,
    /// True from the move of the primary until the subscriber has a connection to the new one.
    following: bool,
    /// True after an error that a new connection would not cure: further batches wait for the next heartbeat.
    backing_off: bool,
    /// Code of the last logged refusal, until all channels are subscribed.
    logged_refusal: Option<String>,
    /// Number of subscribed channels when the server was asked for it; none if that may have changed since.
    expected: Option<usize>,
    in_flight: FuturesUnordered<BoxFuture<'static, Completed>>,
    running: Running,
}

/// Operations in flight, at most one of each kind.
#[derive(Debug, Default)]
struct Running {
    batch: bool,
    probe: bool,
    count: bool,
    connecting: bool,
}

/// Finished operation.
enum Completed {
    Batch(Batch, BatchResult, Option<Error>),
    ProbePublished(u64, Result<(), BusError>),
    Counted(Result<Option<usize>, Error>),
    Reconnected(Result<Connection, Error>),
    PrimaryMoved,
}

impl<L: MessageHandler> SubscriberTask<L> {
    pub(super) fn new(
        connection: Connection,
        shared: Arc<SubscriberState>,
        config: &SubscriberConfig<'_>,
        handler: L,
    ) -> Self {
        Self {
            shared,
            handler,
            connector: config.connector.clone(),
            purpose: config.purpose,
            messages: connection.client().message_rx(),
            reconnects: connection.client().reconnect_rx(),
            connection,
            commands: config.commands.clone(),
            metrics: config.commands.metrics().clone(),
            probe_channel: config.probe.clone(),
            probe: Probe::new(Instant::now()),
            resubscribing: false,
            following: false,
            backing_off: false,
            logged_refusal: None,
            expected: None,
            in_flight: FuturesUnordered::new(),
            running: Running::default(),
        }
    }

    /// Runs until the handler is closed.
    pub(super) async fn run(mut self) {
        let closed = self.handler.closed();
        tokio::pin!(closed);
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.watch_primary();
        loop {
            self.begin_batch();
            tokio::select! {
                biased;
                () = &mut closed => break,
                reconnected = self.reconnects.recv() => match reconnected {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.on_reconnect(),
                    Err(RecvError::Closed) => break,
                },
                Some(completed) = self.in_flight.next() => self.on_completed(completed),
                () = self.shared.registry.changed() => {}
                _ = heartbeat.tick() => self.heartbeat(),
                // Last, as messages may never run out.
                message = self.messages.recv() => match message {
                    Ok(message) => self.receive(&message),
                    Err(RecvError::Lagged(_)) => self.report_missed(Missed::All),
                    Err(RecvError::Closed) => break,
                },
            }
        }
    }

    fn on_reconnect(&mut self) {
        self.metrics.reconnected(self.purpose.name());
        self.restart();
    }

    /// Subscribes all desired channels again: the connection is new, or the server has ended subscriptions.
    fn restart(&mut self) {
        self.shared.registry.restart();
        self.expected = None;
        self.probe.reconnected(Instant::now());
        self.resubscribing = true;
        self.backing_off = false;
        self.shared.live.store(false, Ordering::Relaxed);
    }

    /// Waits for another server to be the primary.
    fn watch_primary(&mut self) {
        let (slots, server) = (self.connector.slots().clone(), self.connection.server().clone());
        let left = async move {
            slots.leaves(&server).await;
            Completed::PrimaryMoved
        };
        self.in_flight.push(left.boxed());
    }

    fn begin_connecting(&mut self) {
        if self.running.connecting {
            return;
        }
        self.running.connecting = true;
        let (connector, purpose) = (self.connector.clone(), self.purpose);
        let connect = async move { Completed::Reconnected(connector.open(purpose).await) };
        self.in_flight.push(connect.boxed());
    }

    fn begin_batch(&mut self) {
        if self.running.batch || self.backing_off {
            return;
        }
        if let Some(batch) = self.shared.registry.next_batch(BATCH) {
            self.running.batch = true;
            self.expected = None;
            let fred = self.connection.client().clone();
            let applied = async move {
                let (done, error) = apply(&fred, &batch).await;
                Completed::Batch(batch, done, error)
            };
            self.in_flight.push(applied.boxed());
        }
    }

    fn on_completed(&mut self, completed: Completed) {
        let now = Instant::now();
        match completed {
            Completed::Batch(batch, done, error) => {
                self.running.batch = false;
                self.settle(batch, &done, error);
            }
            Completed::ProbePublished(number, outcome) => {
                self.running.probe = false;
                if outcome.is_ok() {
                    self.probe.published(number, now);
                }
            }
            Completed::Counted(outcome) => {
                self.running.count = false;
                if let Ok(count) = outcome {
                    self.probe.answered(now);
                    self.compare(count);
                }
            }
            Completed::Reconnected(outcome) => {
                self.running.connecting = false;
                // The old connection may have recovered meanwhile.
                if let (Ok(connection), true) = (outcome, self.is_lost(now)) {
                    self.replace(connection);
                }
            }
            Completed::PrimaryMoved => {
                self.following = true;
                self.begin_connecting();
            }
        }
    }

    fn settle(&mut self, batch: Batch, done: &BatchResult, error: Option<Error>) {
        if let Some(error) = error {
            self.report(&error);
            self.backing_off = true;
        }
        let late = self.shared.registry.settle(batch, done);
        if self.shared.registry.is_settled() {
            self.logged_refusal = None;
        }
        if self.resubscribing && self.shared.registry.is_settled() {
            self.resubscribing = false;
            self.report_missed(Missed::All);
        } else if !late.is_empty() {
            self.report_missed(Missed::Of(&late));
        }
    }

    /// Subscribes again if the server counts fewer subscriptions than it has confirmed: a slot of a cluster has left it, and may be back.
    fn compare(&mut self, count: Option<usize>) {
        if let (Some(count), Some(expected)) = (count, self.expected.take())
            && count < expected
        {
            let redis = self.connector.address();
            tracing::warn!(
                redis,
                count,
                expected,
                "redis has ended subscriptions, subscribing again"
            );
            self.restart();
        }
    }

    /// Logs a failed batch. A refusal recurs with every retry, so it is logged once per code.
    fn report(&mut self, error: &Error) {
        let (redis, message) = (self.connector.address(), error.to_string());
        let code = refusal(error).map(ToOwned::to_owned);
        if code.is_some() && code != self.logged_refusal {
            tracing::warn!(redis, error = message, "redis subscription refused, retrying");
            self.logged_refusal = code;
        } else {
            tracing::debug!(redis, error = message, "redis subscription failed, retrying");
        }
    }

    fn replace(&mut self, connection: Connection) {
        let redis = self.connector.address();
        if self.following {
            tracing::debug!(redis, "redis primary moved, subscriber connection replaced");
        } else if self.probe.is_unresponsive(Instant::now()) {
            // An outage: the health monitor of the command connection reports it.
            tracing::debug!(redis, "redis subscriber connection unresponsive, replaced");
        } else {
            tracing::warn!(redis, "redis subscriber receives no messages, connection replaced");
        }
        self.messages = connection.client().message_rx();
        self.reconnects = connection.client().reconnect_rx();
        self.connection = connection;
        if self.following {
            self.following = false;
            self.watch_primary();
        }
        self.on_reconnect();
    }

    fn heartbeat(&mut self) {
        let now = Instant::now();
        self.backing_off = false;
        let live = !self.resubscribing && self.probe.is_fresh(now);
        self.shared.live.store(live, Ordering::Relaxed);
        self.metrics.connected(self.purpose.name(), live);
        self.metrics.silence(self.purpose.name(), self.probe.silence(now));
        if !self.running.probe {
            self.running.probe = true;
            let number = self.probe.next();
            let (commands, channel) = (self.commands.clone(), self.probe_channel.clone());
            let publish = async move {
                Completed::ProbePublished(number, commands.publish_probe(channel, number.to_string()).await)
            };
            self.in_flight.push(publish.boxed());
        }
        if !self.running.count {
            self.running.count = true;
            self.expected = (!self.running.batch).then(|| self.shared.registry.subscribed());
            let fred = self.connection.client().clone();
            let count = async move { Completed::Counted(count_subscriptions(&fred).await) };
            self.in_flight.push(count.boxed());
        }
        if self.is_lost(now) {
            self.begin_connecting();
        }
    }

    /// Reports whether fred will not restore this connection by itself.
    fn is_lost(&self, now: Instant) -> bool {
        self.following || (self.probe.is_stalled(now) && !self.resubscribing) || self.probe.is_unresponsive(now)
    }

    fn receive(&mut self, message: &Message) {
        let (now, channel) = (Instant::now(), &*message.channel);
        self.probe.message_received(now);
        let Some(body) = message.value.as_bytes() else {
            return;
        };
        if channel == self.probe_channel {
            let number = str::from_utf8(body).ok().and_then(|number| number.parse().ok());
            self.probe.received(number.unwrap_or_default(), now);
        } else if !self.resubscribing {
            self.handler.on_message(channel, body);
        }
    }

    fn report_missed(&mut self, missed: Missed<'_>) {
        if !self.resubscribing {
            self.metrics.missed(self.purpose.name());
            self.handler.on_missed(missed);
        }
    }
}

impl<L> Drop for SubscriberTask<L> {
    fn drop(&mut self) {
        self.shared.live.store(false, Ordering::Relaxed);
    }
}
