//! Task that owns the connection to one server: reconciles the server with the registry, passes messages on, and reports possible
//! losses.

mod restore;

use std::sync::Arc;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::EventInterface;
use fred::types::Message;
use fred::types::config::Server;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

pub(super) use self::restore::Restore;

use super::commands::{apply, count_subscriptions, is_out_of_step};
use super::probe::Probe;
use super::registry::{Batch, BatchResult, Channel};
use super::shard::Shard;
use super::{BATCH, HEARTBEAT, MessageHandler, Missed};
use crate::BusError;
use crate::metrics::Metrics;
use crate::redis::client::Client;
use crate::redis::client::command_failure::refusal;
use crate::redis::client::connection::Connection;
use crate::redis::client::connector::{Connector, Purpose};

/// Owner of the connection of one shard, and its state.
pub(super) struct ShardTask<L> {
    shard: Arc<Shard>,
    handler: Arc<L>,
    connector: Connector,
    purpose: Purpose,
    connection: Connection,
    messages: broadcast::Receiver<Message>,
    reconnects: broadcast::Receiver<Server>,
    commands: Client,
    metrics: Metrics,
    probe_channel: Channel,
    probe: Probe,
    restore: Restore,
    /// True after an error that a new connection would not cure: further batches wait for the next heartbeat.
    backing_off: bool,
    /// True from a `CLUSTERDOWN`, for which fred reconnects, to the next heartbeat: each batch would end that connection too.
    is_down: bool,
    /// True if replies are no longer those of their commands: only another connection cures it.
    is_out_of_step: bool,
    /// Code of the last logged refusal, until all channels are subscribed.
    logged_refusal: Option<String>,
    /// True if the server is to be asked for its number of channels.
    is_count_due: bool,
    /// Number of subscribed channels when the server was asked for it; none if that may have changed since.
    expected: Option<usize>,
    /// Time at which the server first counted fewer, and the number of its answers to questions for the slot map by then.
    missing_since: Option<(Instant, u64)>,
    in_flight: FuturesUnordered<BoxFuture<'static, Completed>>,
    running: Running,
}

/// Operations in flight, at most one of each kind.
#[derive(Debug, Default)]
struct Running {
    /// Commands on the connection of the shard: a batch, or a count.
    exchange: bool,
    /// Pause before a count.
    pause: bool,
    probe: bool,
    connecting: bool,
}

/// Finished operation.
enum Completed {
    Batch(Batch, BatchResult, Option<Error>),
    ProbePublished(u64, Result<(), BusError>),
    Counted(Result<Option<usize>, Error>),
    CountDue,
    Reconnected(Result<Connection, Error>),
}

impl<L: MessageHandler> ShardTask<L> {
    pub(super) fn new(
        shard: Arc<Shard>,
        handler: Arc<L>,
        (connector, purpose): (Connector, Purpose),
        connection: Connection,
        commands: Client,
        restore: Restore,
    ) -> Self {
        // Before the first heartbeat: whoever opens the subscriber waits for the first probe channel alone.
        shard.record(restore == Restore::Done, Duration::ZERO);
        Self {
            probe_channel: shard.probe(),
            shard,
            handler,
            connector,
            purpose,
            messages: connection.client().message_rx(),
            reconnects: connection.client().reconnect_rx(),
            connection,
            metrics: commands.metrics().clone(),
            commands,
            probe: Probe::new(Instant::now()),
            restore,
            backing_off: false,
            is_down: false,
            is_out_of_step: false,
            logged_refusal: None,
            is_count_due: false,
            expected: None,
            missing_since: None,
            in_flight: FuturesUnordered::new(),
            running: Running::default(),
        }
    }

    /// Runs until the shard ends.
    pub(super) async fn run(mut self) {
        let shard = Arc::clone(&self.shard);
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_exchange();
            tokio::select! {
                biased;
                reconnected = self.reconnects.recv() => match reconnected {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.on_reconnect(),
                    Err(RecvError::Closed) => break,
                },
                Some(completed) = self.in_flight.next() => self.on_completed(completed),
                () = shard.registry.changed() => {}
                _ = heartbeat.tick() => self.heartbeat(),
                // Last, as messages may never run out.
                message = self.messages.recv() => match message {
                    Ok(message) => self.receive(&message),
                    Err(RecvError::Lagged(_)) => self.report_all(),
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
        self.restore = self.restore.restart(&self.connector);
        self.shard.registry.restart();
        self.expected = None;
        self.missing_since = None;
        self.probe.reconnected(Instant::now());
        self.backing_off = self.is_down;
        self.shard.mark_down();
    }

    fn begin_connecting(&mut self) {
        if self.running.connecting {
            return;
        }
        self.running.connecting = true;
        let (connector, purpose, server) = (self.connector.clone(), self.purpose, self.shard.server().clone());
        let connect = async move { Completed::Reconnected(connector.open_at(server, purpose).await) };
        self.in_flight.push(connect.boxed());
    }

    /// Begins the next commands on the connection, one exchange at a time: only so a refused SUNSUBSCRIBE cannot pass for the reply to
    /// another command.
    fn begin_exchange(&mut self) {
        if self.running.exchange || self.is_out_of_step {
            return;
        }
        if std::mem::take(&mut self.is_count_due) {
            self.running.exchange = true;
            let fred = self.connection.client().clone();
            self.expected = Some(self.shard.registry.subscribed());
            let count = async move { Completed::Counted(count_subscriptions(&fred).await) };
            self.in_flight.push(count.boxed());
        } else if !self.backing_off
            && let Some(batch) = self.shard.registry.next_batch(BATCH)
        {
            self.running.exchange = true;
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
                self.running.exchange = false;
                self.settle(batch, &done, error);
            }
            Completed::ProbePublished(number, outcome) => {
                self.running.probe = false;
                if outcome.is_ok() {
                    self.probe.published(number, now);
                }
            }
            Completed::Counted(outcome) => {
                self.running.exchange = false;
                if let Ok(count) = outcome {
                    self.probe.answered(now);
                    self.compare(count, now);
                }
            }
            Completed::CountDue => {
                self.running.pause = false;
                self.is_count_due = true;
            }
            Completed::Reconnected(outcome) => {
                self.running.connecting = false;
                // The old connection may have recovered meanwhile.
                if let (Ok(connection), true) = (outcome, self.is_lost(now)) {
                    self.replace(connection);
                }
            }
        }
    }

    fn settle(&mut self, batch: Batch, done: &BatchResult, error: Option<Error>) {
        if !done.moved.is_empty() {
            self.connector.slots().report_stale();
        }
        if let Some(error) = error {
            self.report(&error);
            self.backing_off = true;
            self.is_down |= refusal(&error) == Some("CLUSTERDOWN");
            if is_out_of_step(&error) {
                self.is_out_of_step = true;
                self.begin_connecting();
            }
        }
        let mut doubtful = self.shard.registry.settle(batch, done);
        let is_settled = self.shard.registry.is_settled();
        if is_settled {
            self.logged_refusal = None;
        }
        let was = self.restore;
        if is_settled {
            self.restore = Restore::Done;
        }
        match (was, is_settled) {
            (Restore::AtOnce, true) => self.report_missed(Missed::All),
            (Restore::AtOnce, false) => {}
            (Restore::InBatches | Restore::Done, _) => {
                doubtful.retain(|channel| *channel != self.probe_channel);
                if !doubtful.is_empty() {
                    self.report_missed(Missed::Of(&doubtful));
                }
            }
        }
    }

    /// Subscribes again if the server counts fewer subscriptions than it has confirmed: a slot of a cluster has left it, and may be back.
    ///
    /// In a cluster the map is read first: where it has a new owner for the slot, the other channels of this server have lost nothing.
    fn compare(&mut self, count: Option<usize>, now: Instant) {
        let (Some(count), Some(expected)) = (count, self.expected.take()) else {
            return;
        };
        let expected = expected.min(self.shard.registry.subscribed());
        if count >= expected {
            self.missing_since = None;
            return;
        }
        let slots = self.connector.slots();
        let answers = slots.answers_of(self.shard.server());
        let (since, before) = *self.missing_since.get_or_insert((now, answers));
        // The first answer may have been on its way.
        let is_read = answers >= before + 2 || now.saturating_duration_since(since) >= MAP_READ_WITHIN;
        if slots.current().primaries().len() > 1 && !is_read {
            slots.report_stale();
            if !self.running.pause {
                self.running.pause = true;
                let due = sleep(COUNT_AGAIN_AFTER).map(|()| Completed::CountDue);
                self.in_flight.push(due.boxed());
            }
            return;
        }
        let redis = self.connector.address_of(self.shard.server());
        tracing::warn!(
            redis,
            count,
            expected,
            "redis has ended subscriptions, subscribing again"
        );
        self.restart();
    }

    /// Logs a failed batch. A refusal recurs with every retry, so it is logged once per code.
    fn report(&mut self, error: &Error) {
        let redis = self.connector.address_of(self.shard.server());
        let (message, code) = (error.to_string(), refusal(error).map(ToOwned::to_owned));
        if code.is_some() && code != self.logged_refusal {
            tracing::warn!(redis, error = message, "redis subscription refused, retrying");
            self.logged_refusal = code;
        } else {
            tracing::debug!(redis, error = message, "redis subscription failed, retrying");
        }
    }

    fn replace(&mut self, connection: Connection) {
        let redis = self.connector.address_of(self.shard.server());
        if self.is_out_of_step {
            tracing::warn!(redis, "redis subscriber replies out of step, connection replaced");
        } else if self.probe.is_unresponsive(Instant::now()) {
            // An outage: the health monitor of the command connection reports it.
            tracing::debug!(redis, "redis subscriber connection unresponsive, replaced");
        } else {
            tracing::warn!(redis, "redis subscriber receives no messages, connection replaced");
        }
        self.messages = connection.client().message_rx();
        self.reconnects = connection.client().reconnect_rx();
        self.connection = connection;
        self.is_out_of_step = false;
        self.on_reconnect();
    }

    fn heartbeat(&mut self) {
        let now = Instant::now();
        self.backing_off = false;
        self.is_down = false;
        let is_idle = self.messages.is_empty() && !self.running.exchange;
        self.shard.registry.relax(now, is_idle);
        self.shard.registry.retry_moved();
        self.follow_probe_channel();
        let is_live = self.restore == Restore::Done && self.probe.is_fresh(now);
        self.shard.record(is_live, self.probe.silence(now));
        if !self.running.probe {
            self.running.probe = true;
            let number = self.probe.next();
            let (commands, channel) = (self.commands.clone(), self.probe_channel.to_string());
            let publish = async move {
                Completed::ProbePublished(number, commands.publish_probe(channel, number.to_string()).await)
            };
            self.in_flight.push(publish.boxed());
        }
        self.is_count_due = true;
        if self.is_lost(now) {
            self.begin_connecting();
        }
    }

    /// Adopts the probe channel of the shard, which is another one if the slot of the last one has moved.
    fn follow_probe_channel(&mut self) {
        let channel = self.shard.probe();
        if channel != self.probe_channel {
            self.probe_channel = channel;
            self.probe.channel_replaced();
        }
    }

    /// Reports whether fred will not restore this connection by itself.
    fn is_lost(&self, now: Instant) -> bool {
        let is_stalled = self.restore == Restore::Done && self.probe.is_stalled(now);
        self.is_out_of_step || is_stalled || self.probe.is_unresponsive(now)
    }

    fn receive(&mut self, message: &Message) {
        let (now, channel) = (Instant::now(), &*message.channel);
        self.probe.message_received(now);
        let Some(body) = message.value.as_bytes() else {
            return;
        };
        if *channel == *self.probe_channel {
            let number = str::from_utf8(body).ok().and_then(|number| number.parse().ok());
            self.probe.received(number.unwrap_or_default(), now);
        } else if self.restore != Restore::AtOnce && self.shard.registry.accepts(channel) {
            self.handler.on_message(channel, body);
        }
    }

    /// Reports possible losses of every channel of this server.
    fn report_all(&self) {
        if self.restore == Restore::AtOnce {
            // The report at the end covers it.
            return;
        }
        if self.connector.slots().current().primaries().len() <= 1 {
            self.report_missed(Missed::All);
            return;
        }
        for channels in self.shard.registry.channels().chunks(BATCH) {
            self.report_missed(Missed::Of(channels));
        }
    }

    fn report_missed(&self, missed: Missed<'_>) {
        self.metrics.missed(self.purpose.name());
        self.handler.on_missed(missed);
    }
}

impl<L> Drop for ShardTask<L> {
    fn drop(&mut self) {
        self.shard.mark_down();
    }
}

/// Pause until the server is asked for its number of channels again, while the slot map is read.
const COUNT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Time after which the slot map counts as read, although the server is not among the nodes that are asked for it.
const MAP_READ_WITHIN: Duration = Duration::from_secs(5);
