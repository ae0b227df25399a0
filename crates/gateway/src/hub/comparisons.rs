//! Comparisons of the users' channels with the offsets of their event logs, in batches: rounds over all users, and single users beside.

use std::collections::VecDeque;

use protocol::id::UserId;

/// Number of a comparison of all offsets, which a newer one supersedes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComparisonRound(u64);

/// Batches that are still to be compared, one by one: all of them at once would use memory that is never released.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    round: ComparisonRound,
    batches: VecDeque<Vec<UserId>>,
    is_comparing: bool,
}

impl Comparisons {
    /// Current round.
    pub(super) fn round(&self) -> ComparisonRound {
        self.round
    }

    /// Starts a new round over all users. It covers what is left of the one before.
    pub(super) fn start(&mut self, users: &[UserId]) {
        self.round = ComparisonRound(self.round.0 + 1);
        self.batches.clear();
        self.add(users);
        // A pending batch of an older round does not delay this one.
        self.is_comparing = false;
    }

    /// Adds users to the round.
    pub(super) fn add(&mut self, users: &[UserId]) {
        self.batches.extend(users.chunks(BATCH).map(<[_]>::to_vec));
    }

    /// Takes the next batch; none while one is compared.
    pub(super) fn next_batch(&mut self) -> Option<Vec<UserId>> {
        if self.is_comparing {
            return None;
        }
        let users = self.batches.pop_front()?;
        self.is_comparing = true;
        Some(users)
    }

    /// Records that a batch of a round was compared, or that the comparison failed.
    pub(super) fn batch_done(&mut self, round: ComparisonRound) {
        if round == self.round {
            self.is_comparing = false;
        }
    }
}

/// Users of one batch.
const BATCH: usize = 500;
