//! Subscriber of one test: that of its thread.

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};

/// Keeps the subscriber of a test until it is dropped.
pub type SubscriberGuard = (DefaultGuard, Dispatch);

/// Makes this the subscriber of the current thread until the guard is dropped.
///
/// `tracing` decides once for all threads whether a callsite is enabled. While the process has a single subscriber, it asks that of the
/// thread which comes to the callsite first: the thread of another test, without a subscriber, would disable the callsite for this
/// one. A second subscriber, in the guard, makes it ask both.
pub fn set_default(subscriber: impl Subscriber + Send + Sync) -> SubscriberGuard {
    let second = Dispatch::new(NoSubscriber::new());
    (tracing::subscriber::set_default(subscriber), second)
}
