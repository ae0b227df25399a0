//! Health of a connection by its heartbeats: reachability, and the server's clock.

use std::time::{Duration, SystemTime};

use fred::error::Error;
use protocol::time::Timestamp;
use tokio::time::Instant;

/// Result of the last heartbeats.
#[derive(Debug, Clone)]
pub(super) struct Health {
    /// Class of the failure of the last heartbeat; none if it was answered.
    fault: Option<&'static str>,
    /// Error reply with which the server has refused the connection since, such as `WRONGPASS`.
    refusal: Option<Error>,
    /// Time of the last reply.
    last_reply: Instant,
    /// Server's clock at that time, in ms since 1970.
    server_time: u64,
    /// Difference between the two clocks at that time.
    pub(super) skew: Duration,
}

impl Health {
    /// Health after a heartbeat that was answered at `now` with `server_time`.
    pub(super) fn up(now: Instant, server_time: u64, wall: SystemTime) -> Self {
        let server_wall = SystemTime::UNIX_EPOCH + Duration::from_millis(server_time);
        let ahead = wall.duration_since(server_wall);
        Self {
            fault: None,
            refusal: None,
            last_reply: now,
            server_time,
            skew: ahead.unwrap_or_else(|behind| behind.duration()),
        }
    }

    /// Records a failed heartbeat with the class of its failure.
    pub(super) fn mark_down(&mut self, class: &'static str) {
        self.fault = Some(class);
    }

    /// Class of the failure of the last heartbeat; none if it was answered.
    pub(super) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Records why the server refuses the connection. True if the reason has changed.
    pub(super) fn refuse(&mut self, refusal: Error) -> bool {
        let before = self.refusal.replace(refusal);
        before != self.refusal
    }

    /// Reason of the server for refusing the connection, if it does.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.refusal.clone()
    }

    /// Reports whether commands may be sent.
    pub(super) fn is_up(&self) -> bool {
        self.fault.is_none()
    }

    /// Reports whether the last reply is recent and the clocks agree.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.is_up() && self.silence(now) < STALE && !self.is_skewed()
    }

    /// Reports whether the clocks of this node and the server are too far apart.
    pub(super) fn is_skewed(&self) -> bool {
        self.skew > MAX_SKEW
    }

    /// Instant at which the server's clock shows `millis`; `now` for a time in the past.
    pub(super) fn instant_of(&self, millis: u64, now: Instant) -> Instant {
        let server_now = self.server_time + u64::try_from(self.silence(now).as_millis()).unwrap_or(u64::MAX);
        now + Duration::from_millis(millis.saturating_sub(server_now))
    }

    /// Time on the server's clock.
    pub(super) fn server_time(&self, now: Instant) -> Timestamp {
        let since = u64::try_from(self.silence(now).as_millis()).unwrap_or(u64::MAX);
        let millis = self.server_time.saturating_add(since);
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Time of the last reply, and the server's clock then, in ms since 1970.
    pub(super) fn reading(&self) -> (Instant, u64) {
        (self.last_reply, self.server_time)
    }

    /// Time since the last reply.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_reply)
    }
}

/// Age at which a reply no longer counts. A missed heartbeat shows sooner; this covers a node that was suspended.
const STALE: Duration = Duration::from_secs(5);
/// Largest accepted difference of the clocks.
const MAX_SKEW: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn health(now: Instant, wall_seconds: u64) -> Health {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_seconds);
        Health::up(now, 1_000_000, wall)
    }

    #[tokio::test(start_paused = true)]
    async fn server_deadline_converts_to_a_local_instant() {
        let now = Instant::now();
        let health = health(now, 1_000);
        let later = now + Duration::from_secs(2);
        assert_eq!(health.instant_of(1_005_000, later), now + Duration::from_secs(5));
        assert_eq!(health.instant_of(1_001_000, later), later, "a past time is now");
    }

    #[tokio::test(start_paused = true)]
    async fn clock_skew_above_five_seconds_is_not_live() {
        let now = Instant::now();
        assert!(health(now, 995).is_live(now) && health(now, 1_005).is_live(now));
        assert!(!health(now, 994).is_live(now) && !health(now, 1_006).is_live(now));
    }

    #[tokio::test(start_paused = true)]
    async fn stale_reply_is_not_live() {
        let now = Instant::now();
        let mut health = health(now, 1_000);
        assert!(!health.is_live(now + STALE));
        health.mark_down("timeout");
        assert!(!health.is_live(now));
    }
}
