//! A failure that lasts is told once when it begins and once when it ends, however often it is met.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::fault::chain;

/// Whether one kind of work fails at present.
#[derive(Debug)]
pub(crate) struct Outage {
    work: &'static str,
    lasts: AtomicBool,
}

impl Outage {
    /// `work` is what the log says of it: `claim jobs`.
    pub(crate) fn of(work: &'static str) -> Self {
        Self {
            work,
            lasts: AtomicBool::new(false),
        }
    }

    /// It failed.
    pub(crate) fn met(&self, error: &dyn Error) {
        if !self.lasts.swap(true, Ordering::Relaxed) {
            tracing::warn!(work = self.work, error = chain(error), "this fails, and is tried again");
        }
    }

    /// It worked.
    pub(crate) fn over(&self) {
        if self.lasts.swap(false, Ordering::Relaxed) {
            tracing::info!(work = self.work, "this works again");
        }
    }
}
