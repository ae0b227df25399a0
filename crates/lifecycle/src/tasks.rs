//! Every task of a node has an owner and an end.

mod report;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::future::{self, Future};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::report::Running;

pub use self::report::DrainReport;

/// The tasks of one node: whoever holds this spawns into it, and the composition ends them all with [`Tasks::drain`].
///
/// Clones share the same tasks. Nothing else in the workspace spawns.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    running: Running,
    panics: AtomicU64,
    failed: watch::Sender<Option<&'static str>>,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the node begins to drain: finish what you hold, take no more, end.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.shared.soft.clone()
    }

    /// Cancelled when the time to drain is over. Every task is dropped then, wherever it stands; few need to look.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.shared.hard.clone()
    }

    /// Spawns a task the node cannot live without. If it ends before the node drains, or panics at any time,
    /// [`Tasks::failure`] resolves.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn essential<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, task, move |shared, end| {
            let early = !shared.soft.is_cancelled();
            if end == End::Panicked || (end == End::Finished && early) {
                tracing::error!(task = name, "an essential task ended, the node cannot go on");
                shared.failed.send_modify(|failed| {
                    failed.get_or_insert(name);
                });
            }
        });
    }

    /// Spawns one of many tasks, such as a connection: its end is normal, and a panic costs only itself.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn each<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, task, |_, _| {});
    }

    /// Resolves with the name of the first essential task that ended early or panicked; never, if none does.
    pub async fn failure(&self) -> &'static str {
        let mut failed = self.shared.failed.subscribe();
        loop {
            if let Some(name) = *failed.borrow_and_update() {
                return name;
            }
            if failed.changed().await.is_err() {
                // Closed, which `self.shared` prevents.
                return future::pending().await;
            }
        }
    }

    /// How many tasks have panicked so far.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Asks every task to finish, waits for `within`, then drops those that have not, and says which they were.
    ///
    /// Returns as soon as all are gone. A task that blocks its thread cannot be dropped: it is reported as cut and left
    /// behind after [`CUT_GRACE`].
    pub async fn drain(&self, within: Duration) -> DrainReport {
        let Shared {
            tracker,
            soft,
            hard,
            running,
            ..
        } = &*self.shared;
        soft.cancel();
        tracker.close();
        let finished = tokio::time::timeout(within, tracker.wait()).await.is_ok();
        let report = if finished {
            DrainReport::default()
        } else {
            running.report()
        };
        hard.cancel();
        if !finished && tokio::time::timeout(CUT_GRACE, tracker.wait()).await.is_err() {
            tracing::warn!(tasks = %running.report(), "tasks block their threads and are left behind");
        }
        report
    }

    fn spawn<F>(&self, name: &'static str, task: F, at_end: impl FnOnce(&Shared, End) + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        shared.running.enter(name);
        self.shared.tracker.spawn(async move {
            // Unwind safety: nothing of the task is looked at after a panic, it is only dropped.
            let caught = AssertUnwindSafe(task).catch_unwind();
            let end = tokio::select! {
                biased;
                () = shared.hard.cancelled() => End::Cut,
                outcome = caught => match outcome {
                    Ok(()) => End::Finished,
                    Err(panic) => {
                        shared.panics.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(task = name, panic = panic_message(&*panic), "a task panicked");
                        End::Panicked
                    }
                },
            };
            shared.running.leave(name);
            at_end(&shared, end);
        });
    }
}

/// How a task came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Panicked,
    Cut,
}

/// What `panic!` was given; anything else that can be thrown has no text.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "not a text"
    }
}

/// How long dropped tasks have to be gone: dropping takes one poll of each.
const CUT_GRACE: Duration = Duration::from_secs(1);
