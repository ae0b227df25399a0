//! Polls of a future that wakes itself.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls a future a second time at once if it was woken during the first.
///
/// hyper 1.12 wakes a connection when the body of a request is taken, though the connection does not wait for that. tokio queues a task that
/// wakes itself, and wakes another worker for it, which finds nothing: two system calls and a switch of threads per request.
pub(super) struct SelfWakes {
    state: Arc<WakeState>,
    waker: Waker,
}

struct WakeState {
    /// Waker of the task.
    task: Mutex<Waker>,
    is_polling: AtomicBool,
    is_woken: AtomicBool,
}

impl SelfWakes {
    pub(super) fn new() -> Self {
        let state = Arc::new(WakeState {
            task: Mutex::new(Waker::noop().clone()),
            is_polling: AtomicBool::new(false),
            is_woken: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&state));
        Self { state, waker }
    }

    /// Polls the future for the task of `cx`.
    pub(super) fn poll<F: Future>(&self, mut future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let state = &self.state;
        state.set_task(cx.waker());
        state.is_polling.store(true, Ordering::SeqCst);
        let mut inner = Context::from_waker(&self.waker);
        let mut polled = state.poll(future.as_mut(), &mut inner);
        if polled.is_pending() && state.is_woken.load(Ordering::SeqCst) {
            polled = state.poll(future, &mut inner);
        }
        // In this sequence: a wake that still saw the poll is found here, and any other wakes the task.
        state.is_polling.store(false, Ordering::SeqCst);
        if polled.is_pending() && state.is_woken.load(Ordering::SeqCst) {
            // Once more would starve the other tasks: it may be tokio's own limit that wakes.
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl WakeState {
    fn poll<F: Future>(&self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.is_woken.store(false, Ordering::SeqCst);
        future.poll(cx)
    }

    fn set_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Wake for WakeState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        if !self.is_polling.load(Ordering::SeqCst) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts its wakes.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls once a future that wakes itself in its first `self_wakes` polls; returns its polls and wakers, and the wakes of the task.
    fn polled(self_wakes: usize) -> (Vec<Waker>, Arc<Wakes>) {
        let (task, mut wakers) = (Arc::new(Wakes::default()), Vec::new());
        let wrapped = SelfWakes::new();
        let future = poll_fn(|cx| {
            wakers.push(cx.waker().clone());
            if wakers.len() <= self_wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        let mut future = pin!(future);
        let waker = Waker::from(Arc::clone(&task));
        let polled = wrapped.poll(future.as_mut(), &mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        (wakers, task)
    }

    #[test]
    fn future_that_wakes_itself_is_polled_once_more_without_a_wake_of_its_task() {
        for (self_wakes, polls, task_wakes) in [(0, 1, 0), (1, 2, 0), (2, 2, 1)] {
            let (wakers, task) = polled(self_wakes);
            assert_eq!((wakers.len(), task.0.load(Ordering::SeqCst)), (polls, task_wakes));
            // A wake after the poll reaches the task.
            wakers[0].wake_by_ref();
            assert_eq!(task.0.load(Ordering::SeqCst), task_wakes + 1);
        }
    }
}
