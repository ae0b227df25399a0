//! The pulse of a connection: a beat each second asks the server for the time.
//!
//! It says whether commands are worth sending, keeps the offset between the server's clock and ours, and has a client replaced
//! that does not recover. fred's routing task can end by itself, or stand in a write to a peer that is gone; and its own check
//! for unresponsive connections counts from the last thing that was written, so on a busy one it never strikes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fred::interfaces::{ClientLike, EventInterface};
use fred::types::CustomCommand;
use lifecycle::Clock;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::connector::{ConnectError, Connector};
use super::failure::Failure;
use super::link::Link;
use super::{Answer, Shared};
use crate::BusError;

/// What the last beats said.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    /// Whether the last beat was answered.
    up: bool,
    /// When the last answer came.
    answered: Instant,
    /// What the server's clock showed then, in ms since 1970.
    server_time: u64,
    /// How far our clock was from it.
    skew: Duration,
}

impl Pulse {
    /// The server said that it is `server_time`.
    fn beat(now: Instant, server_time: u64, wall: SystemTime) -> Self {
        let server_wall = SystemTime::UNIX_EPOCH + Duration::from_millis(server_time);
        let ahead = wall.duration_since(server_wall);
        Self {
            up: true,
            answered: now,
            server_time,
            skew: ahead.unwrap_or_else(|behind| behind.duration()),
        }
    }

    /// Whether a command may be sent.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Whether this server can be relied on.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.up && self.silence(now) < STALE && self.skew <= MOST_SKEW
    }

    /// The moment at which the server's clock shows `millis`; `now` for what is over.
    pub(super) fn instant_of(&self, millis: u64, now: Instant) -> Instant {
        let server_now = self.server_time + u64::try_from(self.silence(now).as_millis()).unwrap_or(u64::MAX);
        now + Duration::from_millis(millis.saturating_sub(server_now))
    }

    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.answered)
    }
}

/// The first beat. Without it there is no bus.
pub(super) async fn first(link: &Link, connector: &Connector, clock: &dyn Clock) -> Result<Pulse, ConnectError> {
    beat(link.client().clone(), clock)
        .await
        .map_err(|source| ConnectError::Unreachable {
            at: connector.at(),
            source: Box::new(source),
        })
}

/// Beats for ever.
pub(super) async fn keep(shared: Arc<Shared>) {
    let name = shared.to_do.name();
    let mut reconnects = shared.fred().reconnect_rx();
    loop {
        let outcome = beat(shared.fred(), &*shared.clock).await;
        match reconnects.try_recv() {
            Ok(_) | Err(TryRecvError::Lagged(_)) => shared.metrics.reconnected(name),
            Err(TryRecvError::Empty | TryRecvError::Closed) => {}
        }
        match outcome {
            Ok(pulse) => {
                if !shared.pulse().up {
                    tracing::info!(redis = shared.connector.at(), "Redis answers again");
                }
                shared.metrics.clock_skew(name, pulse.skew);
                *shared.pulse() = pulse;
                sleep(INTERVAL).await;
            }
            Err(error) => {
                let silence = down(&shared, &error);
                if silence >= REPLACE_AFTER
                    && let Ok(link) = shared.connector.link(shared.to_do).await
                {
                    tracing::warn!(
                        redis = shared.connector.at(),
                        "a connection that did not recover is replaced"
                    );
                    reconnects = link.client().reconnect_rx();
                    shared.metrics.reconnected(name);
                    *shared.link() = link;
                }
                // A beat that fails takes its time already, unless it fails at once.
                sleep(PAUSE).await;
            }
        }
        shared.metrics.silence(name, shared.pulse().silence(Instant::now()));
    }
}

/// Closes the door to commands; gives back for how long there was no answer.
fn down(shared: &Shared, error: &BusError) -> Duration {
    let mut pulse = shared.pulse();
    if pulse.up {
        let error = protocol::fault::chain(error);
        tracing::warn!(redis = shared.connector.at(), error, "Redis does not answer");
    }
    pulse.up = false;
    pulse.silence(Instant::now())
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
/// How long an answer holds. A missed beat is known sooner; this is for a node that does not run.
const STALE: Duration = Duration::from_secs(5);
/// How far our clock may be from the server's.
const MOST_SKEW: Duration = Duration::from_secs(5);
/// After how long without an answer a new client is tried. fred's own reconnection needs less.
const REPLACE_AFTER: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(now: Instant, wall_seconds: u64) -> Pulse {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_seconds);
        Pulse::beat(now, 1_000_000, wall)
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_of_the_server_is_a_moment_of_ours() {
        let now = Instant::now();
        let pulse = pulse(now, 1_000);
        let later = now + Duration::from_secs(2);
        assert_eq!(pulse.instant_of(1_005_000, later), now + Duration::from_secs(5));
        assert_eq!(pulse.instant_of(1_001_000, later), later, "what is over is over now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_far_off_makes_the_bus_unfit() {
        let now = Instant::now();
        assert!(pulse(now, 995).is_live(now) && pulse(now, 1_005).is_live(now));
        assert!(!pulse(now, 994).is_live(now) && !pulse(now, 1_006).is_live(now));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_proves_nothing() {
        let now = Instant::now();
        let mut pulse = pulse(now, 1_000);
        assert!(!pulse.is_live(now + STALE));
        pulse.up = false;
        assert!(!pulse.is_live(now));
    }
}
