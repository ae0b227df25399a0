//! Pending requests: each is completed once, by an answer or a failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::id::JobId;
use protocol::wire::RequestId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::answer::Outline;
use crate::socket::Caller;

/// Command that waits for its answer.
#[derive(Debug)]
pub(super) struct PendingRequest {
    /// Socket that sent the command.
    pub(super) caller: Arc<Caller>,
    /// Common fields of a failure.
    pub(super) outline: Outline,
    /// Id of the request, which the answer repeats.
    pub(super) request: Option<RequestId>,
    /// Time of the request.
    pub(super) opened: Instant,
    /// Time at which its job was enqueued.
    pub(super) enqueued: Option<Instant>,
    /// Time by which it is answered.
    pub(super) deadline: Instant,
    /// Permit of the caller for a pending command.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// All pending requests of this gateway.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    requests: Mutex<HashMap<JobId, PendingEntry>>,
}

#[derive(Debug)]
struct PendingEntry {
    request: PendingRequest,
    /// Time of the next read of its kept reply.
    read_at: Instant,
}

/// Requests that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DueRequests {
    /// Requests whose replies may have been missed.
    pub(super) to_read: Vec<JobId>,
    /// Requests whose deadline has passed.
    pub(super) timed_out: Vec<JobId>,
}

impl PendingRequests {
    /// Adds a request.
    pub(super) fn insert(&self, job: JobId, request: PendingRequest) {
        let read_at = (request.opened + FIRST_READ).min(last_read(&request));
        self.requests().insert(job, PendingEntry { request, read_at });
    }

    /// Records that the job of a request is enqueued, unless the request is complete already.
    pub(super) fn mark_enqueued(&self, job: &JobId, at: Instant) {
        if let Some(entry) = self.requests().get_mut(job) {
            entry.request.enqueued = Some(at);
        }
    }

    /// Removes a request; a second call returns none.
    pub(super) fn remove(&self, job: &JobId) -> Option<PendingRequest> {
        self.requests().remove(job).map(|entry| entry.request)
    }

    /// Requests that are due. Drops those whose socket is closed.
    pub(super) fn due(&self, now: Instant) -> DueRequests {
        let mut due = DueRequests::default();
        self.requests().retain(|job, entry| {
            if entry.request.caller.is_gone() {
                return false;
            }
            if entry.request.deadline <= now {
                due.timed_out.push(job.clone());
            } else if entry.read_at <= now {
                due.to_read.push(job.clone());
                entry.read_at = next_read(&entry.request, now);
            }
            true
        });
        due
    }

    /// Jobs of all requests, to be read after a time in which replies may have been missed.
    pub(super) fn all(&self) -> Vec<JobId> {
        self.requests().keys().cloned().collect()
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<JobId, PendingEntry>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second later, and once more right before the deadline.
fn next_read(request: &PendingRequest, now: Instant) -> Instant {
    let last = last_read(request);
    if now < last {
        last.min(now + READ_EVERY)
    } else {
        request.deadline
    }
}

fn last_read(request: &PendingRequest) -> Instant {
    let within = request.deadline.saturating_duration_since(request.opened);
    request.deadline - LAST_READ.min(within / 2)
}

/// An announced reply arrives much sooner.
const FIRST_READ: Duration = Duration::from_secs(2);
const READ_EVERY: Duration = Duration::from_secs(1);
/// Lead of the last read before the deadline.
const LAST_READ: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use protocol::command::CommandKind;
    use serde_json::Value;

    use super::*;

    fn open(pending: &PendingRequests, job: &str, now: Instant, job_timeout: Duration) -> JobId {
        let caller = Arc::new(Caller::sample("u"));
        let job = JobId::new(job).unwrap();
        let request = PendingRequest {
            outline: Outline::of(CommandKind::List, &Value::Null),
            request: None,
            opened: now,
            enqueued: None,
            deadline: now + job_timeout,
            _permit: caller.pending_permit().unwrap(),
            caller,
        };
        pending.insert(job.clone(), request);
        job
    }

    #[test]
    fn kept_reply_is_read_from_two_seconds_on_and_right_before_the_deadline() {
        let pending = PendingRequests::default();
        let start = Instant::now();
        let job = open(&pending, "j", start, Duration::from_secs(10));
        let mut read = Vec::new();
        for tick in 0..40 {
            let since = Duration::from_millis(250) * tick;
            let due = pending.due(start + since);
            assert_eq!(due.timed_out, Vec::<JobId>::new(), "at {since:?}");
            if due.to_read == std::slice::from_ref(&job) {
                read.push(since.as_secs_f64());
            }
        }
        assert_eq!(read, [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 9.5]);
        assert_eq!(pending.due(start + Duration::from_secs(10)).timed_out, [job]);
    }

    #[test]
    fn request_is_completed_once() {
        let pending = PendingRequests::default();
        let job = open(&pending, "j", Instant::now(), Duration::from_secs(10));
        assert!(pending.remove(&job).is_some());
        assert!(pending.remove(&job).is_none());
        assert_eq!(pending.all(), Vec::<JobId>::new());
    }
}
