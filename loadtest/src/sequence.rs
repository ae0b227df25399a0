//! Account of the numbered events of one socket: lost, twice, out of sequence.

use std::collections::BTreeSet;

/// Events that a socket has received.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// Number after the highest one received.
    next: u64,
    /// Numbers below it that have not been received.
    missing: BTreeSet<u64>,
    received: u64,
    twice: u64,
    reordered: u64,
}

/// Counts of deliveries, of one socket or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deliveries {
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) reordered: u64,
}

impl Sequence {
    /// Takes a received event; returns false if it was received before.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.twice += 1;
            return false;
        }
        self.received += 1;
        true
    }

    /// Counts, after events 0 up to `published` have been published, without those that the server may not have accepted.
    pub(crate) fn deliveries(&self, published: u64, uncertain: &BTreeSet<u64>) -> Deliveries {
        let absent = self.missing.iter().copied().chain(self.next..published);
        Deliveries {
            received: self.received,
            lost: absent.filter(|number| !uncertain.contains(number)).count() as u64,
            twice: self.twice,
            reordered: self.reordered,
        }
    }
}

impl std::ops::AddAssign for Deliveries {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.twice += other.twice;
        self.reordered += other.reordered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(received: &[u64], published: u64, uncertain: &[u64]) -> [u64; 4] {
        let mut sequence = Sequence::default();
        for number in received {
            sequence.take(*number);
        }
        let counts = sequence.deliveries(published, &uncertain.iter().copied().collect());
        [counts.received, counts.lost, counts.twice, counts.reordered]
    }

    #[test]
    fn complete_sequence_has_no_faults() {
        assert_eq!(after(&[0, 1, 2], 3, &[]), [3, 0, 0, 0]);
    }

    #[test]
    fn absent_events_are_lost_inside_and_at_the_end() {
        assert_eq!(after(&[1, 3], 6, &[]), [2, 4, 0, 0]);
        assert_eq!(after(&[], 2, &[]), [0, 2, 0, 0]);
    }

    #[test]
    fn repeated_event_counts_as_twice() {
        assert_eq!(after(&[0, 1, 1, 0], 2, &[]), [2, 0, 2, 0]);
    }

    #[test]
    fn late_event_counts_as_reordered_and_not_as_lost() {
        assert_eq!(after(&[0, 2, 1], 3, &[]), [3, 0, 0, 1]);
        assert_eq!(after(&[0, 2, 1, 1], 3, &[]), [3, 0, 1, 1]);
    }

    #[test]
    fn event_that_was_not_accepted_is_not_lost_but_counts_where_it_arrives() {
        assert_eq!(after(&[0, 2], 4, &[1, 3]), [2, 0, 0, 0]);
        assert_eq!(after(&[0, 1, 2, 3], 4, &[1, 3]), [4, 0, 0, 0]);
    }
}
