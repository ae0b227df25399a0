//! The one task that has a subscriber's connection: it makes the server agree with the registry, passes on what is heard, and
//! says when something may have been missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Server;
use fred::types::{Message, Value};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::probe::Probe;
use super::registry::{Batch, Channel, Done};
use super::{BATCH, BEAT, Listener, Opening, Shared};
use crate::BusError;
use crate::metrics::Metrics;
use crate::redis::client::Client;
use crate::redis::client::connector::{Connector, Use};
use crate::redis::client::failure::refusal;
use crate::redis::client::link::Link;

/// A connection that listens, and what is known of it.
pub(super) struct Ear<L> {
    shared: Arc<Shared>,
    listener: L,
    connector: Connector,
    to_do: Use,
    link: Link,
    messages: broadcast::Receiver<Message>,
    reconnects: broadcast::Receiver<Server>,
    commands: Client,
    metrics: Metrics,
    probe_channel: String,
    probe: Probe,
    /// From the loss of a connection until all that is wanted is confirmed on the new one. What is heard meanwhile may follow a
    /// hole, so it is left to the `missed` at the end.
    renewing: bool,
    /// When something failed for no reason that a new connection would cure, the rest waits for the next beat.
    holding_back: bool,
    /// The code of the refusal that was logged last, until everything is subscribed.
    refused: Option<String>,
    under_way: FuturesUnordered<BoxFuture<'static, Step>>,
    busy: Busy,
}

/// Which kinds of steps are under way: one of each at most.
#[derive(Debug, Default)]
struct Busy {
    batch: bool,
    word: bool,
    ping: bool,
    connecting: bool,
}

/// Something that took its time and is done.
enum Step {
    Batch(Batch, Done, Option<Error>),
    EndAnnouncement(u64, Result<(), BusError>),
    Ponged(Result<(), Error>),
    Connected(Result<Link, Error>),
}

impl<L: Listener> Ear<L> {
    pub(super) fn new(link: Link, shared: Arc<Shared>, opening: &Opening<'_>, listener: L) -> Self {
        Self {
            shared,
            listener,
            connector: opening.connector.clone(),
            to_do: opening.to_do,
            messages: link.client().message_rx(),
            reconnects: link.client().reconnect_rx(),
            link,
            commands: opening.commands.clone(),
            metrics: opening.commands.metrics().clone(),
            probe_channel: opening.probe.clone(),
            probe: Probe::new(Instant::now()),
            renewing: false,
            holding_back: false,
            refused: None,
            under_way: FuturesUnordered::new(),
            busy: Busy::default(),
        }
    }

    /// Listens until nobody does any more.
    pub(super) async fn run(mut self) {
        let abandoned = self.listener.abandoned();
        tokio::pin!(abandoned);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_batch();
            tokio::select! {
                biased;
                () = &mut abandoned => break,
                reconnected = self.reconnects.recv() => match reconnected {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.renew(),
                    Err(RecvError::Closed) => break,
                },
                Some(step) = self.under_way.next() => self.done(step),
                () = self.shared.registry.changed() => {}
                _ = beat.tick() => self.beat(),
                // Last, as there may always be one more.
                message = self.messages.recv() => match message {
                    Ok(message) => self.hear(&message),
                    Err(RecvError::Lagged(_)) => self.missed(),
                    Err(RecvError::Closed) => break,
                },
            }
        }
    }

    /// Nothing that was subscribed is so any more.
    fn renew(&mut self) {
        self.metrics.reconnected(self.to_do.name());
        self.shared.registry.lost();
        self.probe.renewed(Instant::now());
        self.renewing = true;
        self.holding_back = false;
        self.shared.live.store(false, Ordering::Relaxed);
    }

    fn begin_batch(&mut self) {
        if self.busy.batch || self.holding_back {
            return;
        }
        if let Some(batch) = self.shared.registry.next_batch(BATCH) {
            self.busy.batch = true;
            self.under_way.push(apply(self.link.client().clone(), batch).boxed());
        }
    }

    fn done(&mut self, step: Step) {
        let now = Instant::now();
        match step {
            Step::Batch(batch, done, error) => {
                self.busy.batch = false;
                self.settle(batch, &done, error);
            }
            Step::EndAnnouncement(word, outcome) => {
                self.busy.word = false;
                if outcome.is_ok() {
                    self.probe.announced(word, now);
                }
            }
            Step::Ponged(outcome) => {
                self.busy.ping = false;
                if outcome.is_ok() {
                    self.probe.answered(now);
                }
            }
            Step::Connected(outcome) => {
                self.busy.connecting = false;
                // The old one may have come back meanwhile.
                if let (Ok(link), true) = (outcome, self.is_lost(now)) {
                    self.replace(link);
                }
            }
        }
    }

    fn settle(&mut self, batch: Batch, done: &Done, error: Option<Error>) {
        if let Some(error) = error {
            self.report(&error);
            self.holding_back = true;
        }
        let late = self.shared.registry.settle(batch, done);
        if self.shared.registry.is_settled() {
            self.refused = None;
        }
        if self.renewing && self.shared.registry.is_settled() {
            self.renewing = false;
            self.missed();
        } else if late {
            self.missed();
        }
    }

    /// A refusal will be repeated with every try: it is logged once, by its code.
    fn report(&mut self, error: &Error) {
        let (redis, said) = (self.connector.at(), error.to_string());
        let code = refusal(error).map(ToOwned::to_owned);
        if code.is_some() && code != self.refused {
            tracing::warn!(redis, error = said, "Redis refuses a subscription, retrying");
            self.refused = code;
        } else {
            tracing::debug!(redis, error = said, "subscription failed, retrying");
        }
    }

    fn replace(&mut self, link: Link) {
        tracing::warn!(
            redis = self.connector.at(),
            "a connection that does not hear is replaced"
        );
        self.messages = link.client().message_rx();
        self.reconnects = link.client().reconnect_rx();
        self.link = link;
        self.renew();
    }

    fn beat(&mut self) {
        let now = Instant::now();
        self.holding_back = false;
        let live = !self.renewing && self.probe.is_fresh(now);
        self.shared.live.store(live, Ordering::Relaxed);
        self.metrics.silence(self.to_do.name(), self.probe.silence(now));
        if !self.busy.word {
            self.busy.word = true;
            let word = self.probe.next();
            let (commands, channel) = (self.commands.clone(), self.probe_channel.clone());
            let announce =
                async move { Step::EndAnnouncement(word, commands.announce(channel, word.to_string()).await) };
            self.under_way.push(announce.boxed());
        }
        if !self.busy.ping {
            self.busy.ping = true;
            let fred = self.link.client().clone();
            let ping = async move { Step::Ponged(fred.ping::<Value>(None).await.map(drop)) };
            self.under_way.push(ping.boxed());
        }
        if self.is_lost(now) && !self.busy.connecting {
            self.busy.connecting = true;
            let (connector, to_do) = (self.connector.clone(), self.to_do);
            let connect = async move { Step::Connected(connector.link(to_do).await) };
            self.under_way.push(connect.boxed());
        }
    }

    /// Whether fred will not bring this connection back.
    fn is_lost(&self, now: Instant) -> bool {
        (self.probe.is_deaf(now) && !self.renewing) || self.probe.is_dead(now)
    }

    fn hear(&mut self, message: &Message) {
        let (now, channel) = (Instant::now(), &*message.channel);
        self.probe.flowed(now);
        let Some(body) = message.value.as_bytes() else {
            return;
        };
        if channel == self.probe_channel {
            let word = str::from_utf8(body).ok().and_then(|word| word.parse().ok());
            self.probe.heard(word.unwrap_or_default(), now);
        } else if !self.renewing {
            self.listener.hear(channel, body);
        }
    }

    fn missed(&mut self) {
        if !self.renewing {
            self.metrics.missed(self.to_do.name());
            self.listener.missed();
        }
    }
}

impl<L> Drop for Ear<L> {
    fn drop(&mut self) {
        self.shared.live.store(false, Ordering::Relaxed);
    }
}

/// Does what a batch asks.
///
/// Each SSUBSCRIBE names one channel, all of them are on their way at once, and each waits for its own answer: fred takes the
/// first of several confirmations for the answer and the others for answers to whatever was asked next. That answer is the
/// server's own confirmation, for which SUBSCRIBE needs a PING.
async fn apply(fred: fred::clients::Client, batch: Batch) -> Step {
    let mut error = None;
    let mut done = Done {
        gave_up: true,
        ..Done::default()
    };
    if !batch.give_up.is_empty() {
        let channels: Vec<String> = batch.give_up.iter().map(ToString::to_string).collect();
        let outcome = fred.sunsubscribe(channels).await;
        done.gave_up = outcome.is_ok();
        error = outcome.err();
    }
    let take_up = batch.take_up.iter().map(|channel| take_up(&fred, channel));
    for (channel, outcome) in join_all(take_up).await {
        match outcome {
            Ok(()) => done.confirmed.push(channel),
            Err(failure) => {
                if refusal(&failure).is_some() {
                    done.refused.push((channel, failure.clone()));
                }
                error = Some(failure);
            }
        }
    }
    Step::Batch(batch, done, error)
}

async fn take_up(fred: &fred::clients::Client, channel: &Channel) -> (Channel, Result<(), Error>) {
    (Arc::clone(channel), fred.ssubscribe(channel.as_ref()).await)
}
