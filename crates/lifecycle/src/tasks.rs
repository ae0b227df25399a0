//! Tasks of a node: every task has an owner and an end.

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
use tracing::{Instrument, Span};

use self::report::Running;

pub use self::report::DrainReport;

/// Tasks of one node: its owners spawn into it, and the composition ends them all with [`Tasks::drain`].
///
/// Clones share the same tasks. Nothing else in the workspace spawns. Each task runs in the tracing span that was current when its
/// `Tasks` was created, that of the node, and not in the span of the task that spawns it.
#[derive(Debug, Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
    span: Span,
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
    /// Empty set of tasks, which run in the current span.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            span: Span::current(),
        }
    }

    /// The same tasks for one of several nodes in a process: what it spawns runs in the current span.
    #[must_use]
    pub fn with_current_span(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            span: Span::current(),
        }
    }

    /// Token that is cancelled when the node begins to drain: a task finishes its work, accepts no more, and ends.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.shared.soft.clone()
    }

    /// Token that is cancelled at the end of the drain window. Every task is dropped then, at any await point; few need the
    /// token.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.shared.hard.clone()
    }

    /// Spawns a task that the node cannot run without. If it ends before the node drains, or panics at any time,
    /// [`Tasks::failure`] resolves.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn essential<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, task, move |shared, end| {
            let early = !shared.soft.is_cancelled() && !shared.hard.is_cancelled();
            if end == End::Panicked || (end == End::Finished && early) {
                tracing::error!(task = name, "essential task ended, stopping the node");
                shared.failed.send_modify(|failed| {
                    failed.get_or_insert(name);
                });
            }
        });
    }

    /// Spawns one of many tasks, such as a connection: its end is normal, and a panic ends only this task.
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
                // The channel is closed, which `self.shared` prevents.
                return future::pending().await;
            }
        }
    }

    /// Number of tasks that have panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Cancels the soft token, waits for `within`, then drops the tasks that have not finished, and reports their names.
    ///
    /// Returns as soon as all have ended. A task that blocks its thread cannot be dropped: it is reported as cut and left behind
    /// after [`CUT_GRACE`].
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
            tracing::warn!(report = %running.report(), "drain abandoned tasks that block their threads");
        }
        report
    }

    /// Drops every task at its next await point, without a drain: none finishes its work, as in a killed process. Several sets of
    /// tasks are aborted first, and awaited then ([`Tasks::aborted`]), so that none sees the end of another.
    pub fn abort(&self) {
        self.shared.tracker.close();
        self.shared.hard.cancel();
    }

    /// Waits until the tasks have been dropped, after [`Tasks::abort`]. A task that blocks its thread is left behind, as by
    /// [`Tasks::drain`].
    pub async fn aborted(&self) {
        let Shared { tracker, running, .. } = &*self.shared;
        if tokio::time::timeout(CUT_GRACE, tracker.wait()).await.is_err() {
            tracing::warn!(report = %running.report(), "abort abandoned tasks that block their threads");
        }
    }

    fn spawn<F>(&self, name: &'static str, task: F, at_end: impl FnOnce(&Shared, End) + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        shared.running.enter(name);
        // Boxed: inline, the spawned future would hold the task more than once, as it moves it. Unwind safety: after a panic the task is
        // only dropped.
        let caught = AssertUnwindSafe(Box::pin(task)).catch_unwind();
        let run = async move {
            let end = tokio::select! {
                biased;
                () = shared.hard.cancelled() => End::Cut,
                outcome = caught => match outcome {
                    Ok(()) => End::Finished,
                    Err(panic) => {
                        shared.panics.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(task = name, panic = panic_message(&*panic), "task panicked");
                        End::Panicked
                    }
                },
            };
            shared.running.leave(name);
            at_end(&shared, end);
        };
        self.shared.tracker.spawn(run.instrument(self.span.clone()));
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

/// End of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Panicked,
    Cut,
}

/// Text of a panic; a payload of another type has none.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "not a text"
    }
}

/// Time in which dropped tasks must end: dropping takes one poll of each.
const CUT_GRACE: Duration = Duration::from_secs(1);
