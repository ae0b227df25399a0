//! Keeps a connection alive: a beat each second asks the server for the time, and a client that does not recover is replaced.
//!
//! fred reconnects by itself, mostly. But its routing task can end, or stand in a write to a peer that is gone; and its own check
//! for unresponsive connections counts from the last thing that was written, so on a busy one it never strikes.

use std::sync::Arc;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::CustomCommand;
use fred::types::config::Server;
use lifecycle::Clock;
use protocol::fault::chain;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::failure::{Failure, refusal};
use super::link::Link;
use super::pulse::Pulse;
use super::{Answer, Shared};
use crate::BusError;

/// Watches over the connection of one [`super::Client`].
pub(super) struct Keeper {
    shared: Arc<Shared>,
    reconnects: Receiver<Server>,
    /// What ended connections, and what stood against new ones.
    errors: Receiver<(Error, Option<Server>)>,
    /// When a new client was last tried.
    tried: Instant,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            reconnects: shared.fred().reconnect_rx(),
            errors: shared.fred().error_rx(),
            tried: Instant::now(),
            shared,
        }
    }

    /// Beats for ever.
    pub(super) async fn run(mut self) {
        loop {
            let outcome = beat(self.shared.fred(), &*self.shared.clock).await;
            self.count_reconnects();
            let pause = match outcome {
                Ok(pulse) => {
                    self.up(pulse);
                    INTERVAL
                }
                Err(error) => {
                    self.down(&error).await;
                    // A beat that fails takes its time already, unless it fails at once.
                    PAUSE
                }
            };
            let silence = self.shared.pulse().silence(Instant::now());
            self.shared.metrics.silence(self.shared.to_do.name(), silence);
            sleep(pause).await;
        }
    }

    fn up(&self, pulse: Pulse) {
        self.shared.metrics.clock_skew(self.shared.to_do.name(), pulse.skew);
        let before = std::mem::replace(&mut *self.shared.pulse(), pulse);
        if !before.is_up() {
            tracing::info!(redis = self.shared.connector.at(), "Redis answers again");
        }
    }

    async fn down(&mut self, error: &BusError) {
        let redis = self.shared.connector.at();
        let silence = {
            let mut pulse = self.shared.pulse();
            if pulse.stop() {
                tracing::warn!(redis = redis.as_str(), error = chain(error), "Redis does not answer");
            }
            pulse.silence(Instant::now())
        };
        self.note_refusal(redis.as_str());
        if silence < REPLACE_AFTER || self.tried.elapsed() < REPLACE_AFTER {
            return;
        }
        self.tried = Instant::now();
        if let Ok(link) = self.shared.connector.link(self.shared.to_do).await {
            tracing::warn!(redis = redis.as_str(), "a connection that did not recover is replaced");
            self.reconnects = link.client().reconnect_rx();
            self.errors = link.client().error_rx();
            *self.shared.link() = link;
            self.shared.metrics.reconnected(self.shared.to_do.name());
        }
    }

    /// While the server turns the connection away, a beat only waits in vain: the reason is in what fred met.
    fn note_refusal(&mut self, redis: &str) {
        let mut newest = None;
        loop {
            match self.errors.try_recv() {
                Ok((error, _)) if refusal(&error).is_some() => newest = Some(error),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if let Some(error) = newest
            && self.shared.pulse().refuse(error.clone())
        {
            tracing::warn!(
                redis,
                error = error.to_string(),
                "Redis refuses the connection, retrying"
            );
        }
    }

    fn count_reconnects(&mut self) {
        while let Ok(_) | Err(TryRecvError::Lagged(_)) = self.reconnects.try_recv() {
            self.shared.metrics.reconnected(self.shared.to_do.name());
        }
    }
}

/// The first beat: without it there is no bus.
pub(super) async fn first_beat(link: &Link, clock: &dyn Clock) -> Result<Pulse, BusError> {
    beat(link.client().clone(), clock).await
}

async fn beat(fred: fred::clients::Client, clock: &dyn Clock) -> Result<Pulse, BusError> {
    const STEP: &str = "ask Redis for the time";
    let time = CustomCommand::new_static("TIME", None::<u16>, false);
    let asked = Instant::now();
    // Boxed: fred's futures are several KiB.
    let value = Box::pin(fred.custom(time, Vec::<String>::new())).await;
    let mut answer = Answer::new(STEP, value.map_err(|error| Failure::Fred(error).at(STEP))?);
    let (seconds, micros): (u64, u64) = (answer.read()?, answer.read()?);
    // The clock was read somewhere between question and answer: the middle is at most half of that wrong.
    let middle = asked + asked.elapsed() / 2;
    let wall = clock.now() - middle.elapsed();
    Ok(Pulse::beat(middle, seconds * 1000 + micros / 1000, wall))
}

/// How long after an answer the next beat follows.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long after a failure the next beat follows.
const PAUSE: Duration = Duration::from_millis(100);
/// After how long without an answer, and how often, a new client is tried. fred's own reconnection needs less.
const REPLACE_AFTER: Duration = Duration::from_secs(4);
