//! Whether a connection hears: words are said on a channel of its own, and must come back.

use std::time::Duration;

use tokio::time::Instant;

/// What was said and what was heard.
#[derive(Debug)]
pub(super) struct Probe {
    said: u64,
    /// The first word that was said and has not come back, and since when.
    unheard: Option<(u64, Instant)>,
    newest_heard: u64,
    /// When a word last came back.
    heard: Instant,
    /// When anything was last heard.
    flowed: Instant,
    /// When the connection last answered a PING, or anything was heard on it.
    answered: Instant,
}

impl Probe {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            said: 0,
            unheard: None,
            newest_heard: 0,
            heard: now,
            flowed: now,
            answered: now,
        }
    }

    /// The next word to say.
    pub(super) fn next(&mut self) -> u64 {
        self.said += 1;
        self.said
    }

    /// The server has taken the word; it may have come back already.
    pub(super) fn announced(&mut self, word: u64, now: Instant) {
        if self.unheard.is_none() && self.newest_heard < word {
            self.unheard = Some((word, now));
        }
    }

    /// A word came back.
    pub(super) fn heard(&mut self, word: u64, now: Instant) {
        self.heard = now;
        self.newest_heard = self.newest_heard.max(word);
        if self.unheard.is_some_and(|(first, _)| first <= word) {
            self.unheard = None;
        }
    }

    /// Something was heard.
    pub(super) fn flowed(&mut self, now: Instant) {
        self.flowed = now;
        self.answered = now;
    }

    /// The connection answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = now;
    }

    /// The connection is another one: what was said before cannot come back.
    pub(super) fn renewed(&mut self, now: Instant) {
        self.unheard = None;
        self.answered = now;
    }

    /// Whether a word came back lately.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.silence(now) < STALE
    }

    /// Whether the connection lives, but deaf: it is not told what is said. In a flood words wait behind everything else.
    pub(super) fn is_deaf(&self, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.flowed) >= PATIENCE;
        let patience = if quiet { PATIENCE } else { PATIENCE_IN_A_FLOOD };
        let overdue = |(_, since): (u64, Instant)| now.saturating_duration_since(since) >= patience;
        self.unheard.is_some_and(overdue)
    }

    /// Whether the connection has not answered for longer than fred should need to make a new one by itself.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.answered) >= GIVEN_UP
    }

    /// For how long no word came back.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }
}

/// How long a word may take to come back.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a word may take while other messages are heard.
const PATIENCE_IN_A_FLOOD: Duration = Duration::from_secs(10);
/// How long a word that came back proves anything.
const STALE: Duration = Duration::from_secs(5);
/// How long a connection may not answer before it is replaced.
const GIVEN_UP: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_does_not_hear_its_own_word_in_time_is_deaf() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let word = probe.next();
        probe.announced(word, now);
        assert!(!probe.is_deaf(now + SECOND));
        assert!(probe.is_deaf(now + 2 * SECOND));
        probe.heard(word, now + 2 * SECOND);
        assert!(!probe.is_deaf(now + 3 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_flood_a_word_may_take_its_time_but_not_for_ever() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let word = probe.next();
        probe.announced(word, now);
        for second in 1..20 {
            let now = now + second * SECOND;
            probe.flowed(now);
            assert_eq!(probe.is_deaf(now), second >= 10, "after {second} s");
            assert!(!probe.is_dead(now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_may_come_back_before_its_saying_is_confirmed() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let word = probe.next();
        probe.heard(word, now);
        probe.announced(word, now);
        assert!(!probe.is_deaf(now + 9 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_word_is_forgiven_once_a_later_one_came_back() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        let (lost, later) = (probe.next(), probe.next());
        probe.announced(lost, now);
        probe.announced(later, now);
        probe.heard(later, now);
        assert!(!probe.is_deaf(now + 9 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn words_that_could_not_be_said_prove_nothing() {
        let now = Instant::now();
        let mut probe = Probe::new(now);
        probe.next();
        assert!(!probe.is_deaf(now + 9 * SECOND));
        assert!(!probe.is_fresh(now + 9 * SECOND), "but nothing is known to arrive");
    }
}
