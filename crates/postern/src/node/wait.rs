//! Wait of a starting node for its dependencies.

use std::time::Duration;

use bus::{BusError, ConnectError};
use lifecycle::{Backoff, Entropy};
use store::SetupError;
use tokio::time::sleep;

/// Repeats an attempt to reach a dependency until it succeeds, or fails in a way that waiting cannot mend. The attempt has a time limit
/// of its own, and reports its failures to the dependency, which logs the first of them and the end of the wait.
///
/// # Errors
/// The error that waiting cannot mend.
pub(super) async fn reach<T, E: StartFault>(
    entropy: &dyn Entropy,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match attempt().await {
            Err(error) if error.may_end() => sleep(backoff.next(entropy)).await,
            reached => return reached,
        }
    }
}

/// Failure to reach a dependency.
pub(super) trait StartFault {
    /// Reports whether the fault may end without a change of this node.
    fn may_end(&self) -> bool;
}

impl StartFault for ConnectError {
    fn may_end(&self) -> bool {
        self.outage().is_some()
    }
}

impl StartFault for SetupError {
    fn may_end(&self) -> bool {
        self.outage().is_some()
    }
}

impl StartFault for BusError {
    fn may_end(&self) -> bool {
        self.outage().is_some()
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use lifecycle::SeededEntropy;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// Fault of a test.
    #[derive(Debug, PartialEq, Eq)]
    struct Fault {
        may_end: bool,
    }

    impl StartFault for Fault {
        fn may_end(&self) -> bool {
            self.may_end
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_repeated_until_one_succeeds_with_pauses_of_at_most_five_seconds() {
        let entropy = SeededEntropy::new(1);
        let (attempts, last) = (Cell::new(0_u32), Cell::new(Instant::now()));
        let reached = reach(&entropy, async || {
            let pause = last.replace(Instant::now()).elapsed();
            assert!(pause <= LONGEST_PAUSE + Duration::from_millis(1), "{pause:?}");
            attempts.set(attempts.get() + 1);
            if attempts.get() < 100 {
                return Err(Fault { may_end: true });
            }
            Ok(attempts.get())
        });
        assert_eq!(reached.await, Ok(100));
    }

    #[tokio::test(start_paused = true)]
    async fn fault_that_waiting_cannot_mend_ends_the_wait_at_once() {
        let start = Instant::now();
        let reached: Result<(), Fault> = reach(&SeededEntropy::new(1), async || Err(Fault { may_end: false })).await;
        assert_eq!(reached, Err(Fault { may_end: false }));
        assert_eq!(start.elapsed(), Duration::ZERO);

        let waits = async || -> Result<(), Fault> { Err(Fault { may_end: true }) };
        let waited = timeout(Duration::from_secs(3600), reach(&SeededEntropy::new(1), waits)).await;
        assert!(waited.is_err(), "it waits for as long as it takes");
    }
}
