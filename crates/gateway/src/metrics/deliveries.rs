//! Counts of deliveries by event. Counted without a lock and without an allocation, once for each event of a user.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::command::CommandKind;
use protocol::event::Event;

/// Counts of all events that reach sockets through the hub.
#[derive(Debug)]
pub(super) struct DeliveryCounts {
    /// The most frequent events first: they are found by comparison.
    by_event: Vec<(&'static str, AtomicU64)>,
    /// Events that this release does not know.
    other: AtomicU64,
}

impl DeliveryCounts {
    /// Creates the counts of all known events: the logged ones, and answers to all sockets of a session.
    pub(super) fn new() -> Self {
        let mut by_event: Vec<(&'static str, AtomicU64)> = Vec::new();
        let answers = CommandKind::ALL.into_iter().map(CommandKind::response_event);
        for event in Event::NAMES.iter().copied().chain(answers) {
            if by_event.iter().all(|(known, _)| *known != event) {
                by_event.push((event, AtomicU64::new(0)));
            }
        }
        Self {
            by_event,
            other: AtomicU64::new(0),
        }
    }

    /// Adds deliveries of an event.
    pub(super) fn add(&self, event: &str, sockets: usize) {
        let known = self.by_event.iter().find(|(known, _)| *known == event);
        let count = known.map_or(&self.other, |(_, count)| count);
        count.fetch_add(u64::try_from(sockets).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts by event.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = self.by_event.iter().map(|(event, count)| (*event, count));
        known
            .chain([(OTHER, &self.other)])
            .map(|(event, count)| (event, count.load(Ordering::Relaxed)))
    }
}

/// Label of events that this release does not know.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_events_share_one_count() {
        let counts = DeliveryCounts::new();
        let before = counts.all().count();
        counts.add("security:alert", 2);
        for number in 0..1_000 {
            counts.add(&format!("hostile:{number}"), 3);
        }
        let of = |wanted: &str| counts.all().find(|(event, _)| *event == wanted).unwrap().1;
        assert_eq!((of("security:alert"), of(OTHER)), (2, 3_000));
        assert_eq!(counts.all().count(), before);
    }
}
