//! An operation's error that also knows what its client reads.

use std::time::Duration;

use protocol::answer::Failure;
use protocol::event::Notice;
use protocol::fault::Fault;
use store::StoreError;

/// Every operation's error. The sentence reveals neither a secret nor an inner name; the chain of causes is for the log.
pub(crate) trait Refusal: Fault + Send + Sync {
    /// What the client reads.
    fn failure(&self) -> Failure {
        Failure::of(self.code())
    }

    /// What its socket is told before.
    fn notice(&self) -> Option<Notice> {
        None
    }
}

impl Refusal for StoreError {}

impl<E: Refusal + 'static> From<E> for Box<dyn Refusal> {
    fn from(refusal: E) -> Self {
        Box::new(refusal)
    }
}

/// A wait as clients are told it: whole seconds, rounded up, so that they do not come back too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
