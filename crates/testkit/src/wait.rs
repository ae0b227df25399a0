//! Waiting for a condition with a deadline, where a test would otherwise sleep for luck.

use std::time::Duration;

use crate::fail::fail;

/// A deadline for what should take a second or less, generous enough for a busy machine of two cores.
pub const fn deadline() -> Duration {
    Duration::from_secs(30)
}

/// Asks `check` until it gives a value, and gives that back.
///
/// Fails the test when `within` has passed, also when a single check hangs; `what` completes "waited 30s for ...".
pub async fn until<T>(what: &str, within: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let answer = tokio::time::timeout(within, async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::time::sleep(POLL).await;
        }
    });
    match answer.await {
        Ok(value) => value,
        Err(_) => fail("go on", format_args!("waited {within:?} for {what}")),
    }
}

/// As [`until`], for a condition that is true or not.
pub async fn until_true(what: &str, within: Duration, mut check: impl AsyncFnMut() -> bool) {
    until(what, within, async || check().await.then_some(())).await;
}

/// The only sleep of the tests: short enough not to be felt, long enough to leave the processor to what is awaited.
const POLL: Duration = Duration::from_millis(5);
