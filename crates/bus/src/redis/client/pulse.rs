//! What the beats of a connection say: whether commands are worth sending, and what the server's clock shows.

use std::time::{Duration, SystemTime};

use fred::error::Error;
use tokio::time::Instant;

/// What the last beats said.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    /// Whether the last beat was answered.
    up: bool,
    /// The server's refusal of the connection since, `WRONGPASS` or the like.
    refusal: Option<Error>,
    /// When the last answer came.
    answered: Instant,
    /// What the server's clock showed then, in ms since 1970.
    server_time: u64,
    /// How far our clock was from it.
    pub(super) skew: Duration,
}

impl Pulse {
    /// The server said that it is `server_time`.
    pub(super) fn beat(now: Instant, server_time: u64, wall: SystemTime) -> Self {
        let server_wall = SystemTime::UNIX_EPOCH + Duration::from_millis(server_time);
        let ahead = wall.duration_since(server_wall);
        Self {
            up: true,
            refusal: None,
            answered: now,
            server_time,
            skew: ahead.unwrap_or_else(|behind| behind.duration()),
        }
    }

    /// The last beat was not answered. True when the one before was.
    pub(super) fn stop(&mut self) -> bool {
        std::mem::replace(&mut self.up, false)
    }

    /// Notes why the server refuses the connection. True when that is not what it said before.
    pub(super) fn refuse(&mut self, refusal: Error) -> bool {
        let before = self.refusal.replace(refusal);
        before != self.refusal
    }

    /// Why the server refuses the connection, where it does.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.refusal.clone()
    }

    /// Whether a command may be sent.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Whether this server can be relied on.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.up && self.silence(now) < STALE && !self.is_skewed()
    }

    /// Whether our clock and the server's are too far apart.
    pub(super) fn is_skewed(&self) -> bool {
        self.skew > MOST_SKEW
    }

    /// The moment at which the server's clock shows `millis`; `now` for what is over.
    pub(super) fn instant_of(&self, millis: u64, now: Instant) -> Instant {
        let server_now = self.server_time + u64::try_from(self.silence(now).as_millis()).unwrap_or(u64::MAX);
        now + Duration::from_millis(millis.saturating_sub(server_now))
    }

    /// For how long there was no answer.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.answered)
    }
}

/// How long an answer holds. A missed beat is known sooner; this is for a node that does not run.
const STALE: Duration = Duration::from_secs(5);
/// How far our clock may be from the server's.
const MOST_SKEW: Duration = Duration::from_secs(5);

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
        assert!(pulse.stop() && !pulse.stop());
        assert!(!pulse.is_live(now));
    }
}
