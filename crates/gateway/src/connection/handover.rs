//! Counts of the sockets that a drain closes, whose clients reconnect to other gateways.

use std::sync::atomic::{AtomicU64, Ordering};

/// Sockets that a drain has closed, and the commands that were pending on them.
#[derive(Debug, Default)]
pub(crate) struct HandoverCounts {
    sockets: AtomicU64,
    answered: AtomicU64,
    unanswered: AtomicU64,
}

/// Commands that were pending on a socket when a drain closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PendingCommands {
    /// No command was pending.
    None,
    /// All were answered before the close.
    Answered,
    /// Some were not answered in time, or the client left.
    Unanswered,
}

impl PendingCommands {
    /// Result of the wait for the answers.
    pub(super) fn answered(all: bool) -> Self {
        if all { Self::Answered } else { Self::Unanswered }
    }
}

impl HandoverCounts {
    /// Counts a socket that a drain closed.
    pub(super) fn add(&self, pending: PendingCommands) {
        self.sockets.fetch_add(1, Ordering::Relaxed);
        match pending {
            PendingCommands::None => {}
            PendingCommands::Answered => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            PendingCommands::Unanswered => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Number of sockets closed by the drain.
    pub(crate) fn sockets(&self) -> u64 {
        self.sockets.load(Ordering::Relaxed)
    }

    /// Number of those whose pending commands were all answered before the close.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Number of those with commands that were not answered.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }
}
