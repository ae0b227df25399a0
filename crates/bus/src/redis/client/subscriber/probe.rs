//! Probe of a subscriber connection: numbered messages on a channel of its own, which must come back.

use std::time::Duration;

use tokio::time::Instant;

/// Published and received probe messages.
#[derive(Debug)]
pub(super) struct Probe {
    sent: u64,
    /// First published number that has not come back, with the time of its publication.
    outstanding: Option<(u64, Instant)>,
    newest_received: u64,
    /// Time at which a probe message last came back.
    received: Instant,
    /// Time at which any message was last received.
    message_received: Instant,
    /// Time of the last reply, or of the last received message.
    answered: Instant,
}

impl Probe {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            outstanding: None,
            newest_received: 0,
            received: now,
            message_received: now,
            answered: now,
        }
    }

    /// Takes the next number to publish.
    pub(super) fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Records that the server accepted the message; it may have come back already.
    pub(super) fn published(&mut self, number: u64, now: Instant) {
        if self.outstanding.is_none() && self.newest_received < number {
            self.outstanding = Some((number, now));
        }
    }

    /// Records a probe message that came back.
    pub(super) fn received(&mut self, number: u64, now: Instant) {
        self.received = now;
        self.newest_received = self.newest_received.max(number);
        if self.outstanding.is_some_and(|(first, _)| first <= number) {
            self.outstanding = None;
        }
    }

    /// Records any received message.
    pub(super) fn message_received(&mut self, now: Instant) {
        self.message_received = now;
        self.answered = now;
    }

    /// Records a reply on the connection.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = now;
    }

    /// Records a new connection, on which earlier probe messages cannot come back.
    pub(super) fn reconnected(&mut self, now: Instant) {
        self.outstanding = None;
        self.answered = now;
    }

    /// Records another channel of the probe messages: those on the last one may not come back.
    pub(super) fn channel_replaced(&mut self) {
        self.outstanding = None;
    }

    /// Reports whether a probe message came back recently.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.silence(now) < STALE
    }

    /// Reports whether published probe messages do not arrive. Under load they queue behind other messages.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.message_received) >= PROBE_TIMEOUT;
        let limit = if quiet { PROBE_TIMEOUT } else { PROBE_TIMEOUT_UNDER_LOAD };
        let overdue = |(_, since): (u64, Instant)| now.saturating_duration_since(since) >= limit;
        self.outstanding.is_some_and(overdue)
    }

    /// Reports whether the connection has been silent for longer than fred needs to reconnect by itself.
    pub(super) fn is_unresponsive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.answered) >= UNRESPONSIVE_AFTER
    }

    /// Time since a probe message last came back.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }
}

/// Time within which a probe message must come back.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time within which a probe message must come back while other messages arrive.
const PROBE_TIMEOUT_UNDER_LOAD: Duration = Duration::from_secs(10);
/// Age at which a probe message that came back no longer counts.
const STALE: Duration = Duration::from_secs(5);
/// Silence after which a connection is replaced.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn overdue_probe_message_means_stalled() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let number = probe.next();
        probe.published(number, now);
        assert!(!probe.is_stalled(now + SECOND));
        assert!(probe.is_stalled(now + 2 * SECOND));
        probe.received(number, now + 2 * SECOND);
        assert!(!probe.is_stalled(now + 3 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn probe_message_under_load_has_ten_seconds() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let number = probe.next();
        probe.published(number, now);
        for second in 1..20 {
            let now = now + second * SECOND;
            probe.message_received(now);
            assert_eq!(probe.is_stalled(now), second >= 10, "after {second} s");
            assert!(!probe.is_unresponsive(now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn probe_message_may_arrive_before_its_publication_is_confirmed() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let number = probe.next();
        probe.received(number, now);
        probe.published(number, now);
        assert!(!probe.is_stalled(now + 9 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_probe_message_is_ignored_once_a_later_one_arrived() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let (lost, later) = (probe.next(), probe.next());
        probe.published(lost, now);
        probe.published(later, now);
        probe.received(later, now);
        assert!(!probe.is_stalled(now + 9 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn unpublished_probe_messages_do_not_count_as_stalled() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        probe.next();
        assert!(!probe.is_stalled(now + 9 * SECOND));
        assert!(!probe.is_fresh(now + 9 * SECOND), "nothing has arrived recently");
    }
}
