//! Commands under way: a slot for each, which closes once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::id::JobId;
use protocol::wire::RequestId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Caller;
use super::answer::Outline;

/// A command that waits for its answer.
#[derive(Debug)]
pub(super) struct Slot {
    /// Who asked.
    pub(super) caller: Arc<Caller>,
    /// What a failure will look like.
    pub(super) outline: Outline,
    /// How the client will know the answer.
    pub(super) request: Option<RequestId>,
    /// When it was asked.
    pub(super) opened: Instant,
    /// When it is answered at the latest.
    pub(super) deadline: Instant,
    /// Its place among the caller's commands under way.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// All slots of this gateway.
#[derive(Debug, Default)]
pub(super) struct Pending {
    slots: Mutex<HashMap<JobId, Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    slot: Slot,
    /// When the kept answers are asked next.
    ask_at: Instant,
}

/// What is due at some moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Their answers may have been missed.
    pub(super) ask: Vec<JobId>,
    /// Their deadline has passed.
    pub(super) over: Vec<JobId>,
}

impl Pending {
    /// Opens a slot.
    pub(super) fn open(&self, job: JobId, slot: Slot) {
        let ask_at = (slot.opened + FIRST_ASK).min(last_ask(&slot));
        self.slots().insert(job, Waiting { slot, ask_at });
    }

    /// Takes a slot out; whoever comes second finds none.
    pub(super) fn close(&self, job: &JobId) -> Option<Slot> {
        self.slots().remove(job).map(|waiting| waiting.slot)
    }

    /// What is due now. Slots whose caller has gone are forgotten.
    pub(super) fn due(&self, now: Instant) -> Due {
        let mut due = Due::default();
        self.slots().retain(|job, waiting| {
            if waiting.slot.caller.is_gone() {
                return false;
            }
            if waiting.slot.deadline <= now {
                due.over.push(job.clone());
            } else if waiting.ask_at <= now {
                due.ask.push(job.clone());
                waiting.ask_at = next_ask(&waiting.slot, now);
            }
            true
        });
        due
    }

    /// All that wait: after a time in which answers may have been missed.
    pub(super) fn all(&self) -> Vec<JobId> {
        self.slots().keys().cloned().collect()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<JobId, Waiting>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second later, but once more right before the deadline.
fn next_ask(slot: &Slot, now: Instant) -> Instant {
    let last = last_ask(slot);
    if now < last {
        last.min(now + ASK_EVERY)
    } else {
        slot.deadline
    }
}

fn last_ask(slot: &Slot) -> Instant {
    let job_timeout = slot.deadline.saturating_duration_since(slot.opened);
    slot.deadline - LAST_ASK.min(job_timeout / 2)
}

/// An answer that is announced comes much sooner.
const FIRST_ASK: Duration = Duration::from_secs(2);
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Before the deadline.
const LAST_ASK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use protocol::command::CommandKind;
    use serde_json::Value;

    use super::*;

    fn open(pending: &Pending, job: &str, now: Instant, job_timeout: Duration) -> JobId {
        let caller = Arc::new(Caller::sample("u"));
        let job = JobId::new(job).unwrap();
        let slot = Slot {
            outline: Outline::of(CommandKind::List, &Value::Null),
            request: None,
            opened: now,
            deadline: now + job_timeout,
            _permit: caller.begin().unwrap(),
            caller,
        };
        pending.open(job.clone(), slot);
        job
    }

    #[test]
    fn a_slot_is_asked_about_from_two_seconds_on_and_once_more_before_its_deadline() {
        let pending = Pending::default();
        let start = Instant::now();
        let job = open(&pending, "j", start, Duration::from_secs(10));
        let mut asked = Vec::new();
        for tick in 0..40 {
            let since = Duration::from_millis(250) * tick;
            let due = pending.due(start + since);
            assert_eq!(due.over, Vec::<JobId>::new(), "at {since:?}");
            if due.ask == std::slice::from_ref(&job) {
                asked.push(since.as_secs_f64());
            }
        }
        assert_eq!(asked, [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 9.5]);
        assert_eq!(pending.due(start + Duration::from_secs(10)).over, [job]);
    }

    #[test]
    fn a_slot_closes_once() {
        let pending = Pending::default();
        let job = open(&pending, "j", Instant::now(), Duration::from_secs(10));
        assert!(pending.close(&job).is_some());
        assert!(pending.close(&job).is_none());
        assert_eq!(pending.all(), Vec::<JobId>::new());
    }
}
