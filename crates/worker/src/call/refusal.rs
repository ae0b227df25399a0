//! Refusals: errors of operations, with the answer that the client reads.

use std::time::Duration;

use protocol::answer::Failure;
use protocol::event::Notice;
use protocol::fault::Fault;
use store::StoreError;

/// Error of an operation. Its message for the client reveals neither a secret nor an internal name; the error chain is for the log.
pub(crate) trait Refusal: Fault + Send + Sync {
    /// Failure that the client reads.
    fn failure(&self) -> Failure {
        Failure::of(self.code())
    }

    /// Notice that the client's socket receives before the answer.
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

/// Wait in whole seconds, rounded up, so that clients do not retry too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
