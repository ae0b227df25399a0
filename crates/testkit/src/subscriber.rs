//! Subscriber of one test: that of its thread.

use std::sync::LazyLock;

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};

/// Makes this the subscriber of the current thread until the guard is dropped.
///
/// `tracing` decides once for all threads whether a callsite is enabled. While the process has a single subscriber, it asks that of the
/// thread which comes to the callsite first: the thread of another test, without a subscriber, would disable the callsite for this
/// one. A second subscriber makes it ask both.
pub fn set_default(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&SECOND);
    tracing::subscriber::set_default(subscriber)
}
