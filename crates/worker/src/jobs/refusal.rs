//! An operation's error that also knows what its client reads.

use protocol::answer::Failure;
use protocol::fault::Fault;
use store::StoreError;

/// Every operation's error. The sentence reveals neither a secret nor an inner name; the chain of causes is for the log.
pub(crate) trait Refusal: Fault + Send + Sync {
    /// What the client reads.
    fn failure(&self) -> Failure {
        Failure::of(self.code())
    }
}

impl Refusal for StoreError {}

impl<E: Refusal + 'static> From<E> for Box<dyn Refusal> {
    fn from(refusal: E) -> Self {
        Box::new(refusal)
    }
}
