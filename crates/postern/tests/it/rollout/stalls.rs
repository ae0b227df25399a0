//! Stalls of the machine, so that no assertion on time blames the product for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

/// Meter of the longest stall: how much later than planned a timer of the test fired.
pub(super) struct Stalls {
    longest: Arc<Mutex<Duration>>,
    _task: JoinSet<()>,
}

impl Stalls {
    pub(super) fn start() -> Self {
        let longest = Arc::<Mutex<Duration>>::default();
        let (shared, mut task) = (Arc::clone(&longest), JoinSet::new());
        task.spawn(async move {
            let mut ticks = interval(TICK);
            loop {
                let before = Instant::now();
                ticks.tick().await;
                let late = before.elapsed().saturating_sub(TICK);
                let mut longest = shared.lock().unwrap();
                *longest = late.max(*longest);
            }
        });
        Self { longest, _task: task }
    }

    /// Longest stall since the last call.
    pub(super) fn take(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }
}

const TICK: Duration = Duration::from_millis(20);
