//! Waits for a condition with a deadline, instead of a sleep.

use std::time::Duration;

use crate::fail::fail;

/// Deadline for what should take a second or less, generous enough for a busy machine of two cores.
pub const fn deadline() -> Duration {
    Duration::from_secs(30)
}

/// Calls `check` until it returns a value, and returns that.
///
/// Fails the test after `within`, also when a single check hangs; `what` completes "waited 30s for ...".
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

/// [`until`] for a boolean condition.
pub async fn until_true(what: &str, within: Duration, mut check: impl AsyncFnMut() -> bool) {
    until(what, within, async || check().await.then_some(())).await;
}

/// Pause between checks, the only sleep of the tests: short enough not to matter, long enough to leave the processor to the
/// awaited work.
const POLL: Duration = Duration::from_millis(5);
