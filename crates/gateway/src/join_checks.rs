//! Checks of sockets that have joined: a worker repeats alerts that are not acknowledged, and records a first-seen device or network. If
//! the hints show that there is nothing to do, no job is submitted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Bucket, BusError, Hint, Hints, LimitDecision, Limits, Quota};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifecycle::{Backoff, Entropy};
use protocol::cluster::job::{JobOutcome, Joined, Work};
use protocol::code::ErrorCode;
use protocol::command::AlertsAnswer;
use protocol::event::name;
use protocol::json::Json;
use protocol::security::Alert;
use protocol::wire::Push;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

use crate::bus_outage::BusOutage;
use crate::socket::Caller;
use crate::workers::WorkerClient;

/// Queue of the checks. No socket waits for its check.
pub(crate) struct JoinChecks {
    hints: Arc<dyn Hints>,
    limits: Arc<dyn Limits>,
    outage: Arc<BusOutage>,
    workers: Arc<WorkerClient>,
    /// Deadline of one job.
    within: Duration,
    entropy: Arc<dyn Entropy>,
    /// Sockets that have joined since the task last took them: no more than are live.
    joined: Mutex<Vec<JoinCheck>>,
    changed: Notify,
}

impl JoinChecks {
    pub(crate) fn new(
        (hints, limits, outage): (Arc<dyn Hints>, Arc<dyn Limits>, Arc<BusOutage>),
        workers: Arc<WorkerClient>,
        within: Duration,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            hints,
            limits,
            outage,
            workers,
            within,
            entropy,
            joined: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Queues the check of a socket that has just joined. A client that `recovered` received its open alerts before. An alert that is raised
    /// meanwhile may be delivered twice, under one id. `hint` is that of its join.
    pub(crate) fn add(&self, caller: &Arc<Caller>, recovered: bool, hint: Hint) {
        if hint.seen && (recovered || hint.no_open_alerts) {
            return;
        }
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.push(JoinCheck::new(Arc::clone(caller), recovered));
        drop(joined);
        self.changed.notify_one();
    }

    /// Runs the checks until the node drains, each until a worker has replied or the socket is closed. The sockets of a draining node are
    /// checked where they reconnect.
    pub(crate) async fn run(self: Arc<Self>, drain: CancellationToken) {
        let mut waiting = VecDeque::new();
        let mut running = FuturesUnordered::new();
        let mut delayed = DelayQueue::new();
        loop {
            // When many sockets join at once, their checks leave capacity of the workers for commands.
            while running.len() < MAX_RUNNING
                && let Some(check) = waiting.pop_front()
            {
                running.push(self.run_check(check));
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = self.changed.notified() => waiting.extend(self.joined()),
                Some((mut check, next)) = running.next() => match next {
                    AfterCheck::Done => {}
                    AfterCheck::After(wait) => {
                        delayed.insert(check, wait);
                    }
                    AfterCheck::Retry => {
                        let wait = check.backoff.next(&*self.entropy);
                        delayed.insert(check, wait);
                    }
                },
                Some(due) = delayed.next() => waiting.push_back(due.into_inner()),
            }
        }
    }

    fn joined(&self) -> Vec<JoinCheck> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *joined)
    }

    async fn run_check(&self, mut check: JoinCheck) -> (JoinCheck, AfterCheck) {
        let next = self.next(&mut check).await;
        (check, next)
    }

    async fn next(&self, check: &mut JoinCheck) -> AfterCheck {
        let caller = &check.caller;
        let is_gone = caller.is_gone();
        // The origin of a socket that closes at once is checked all the same, once.
        if is_gone && check.is_tried {
            return AfterCheck::Done;
        }
        check.is_tried = true;
        let hint = self.hints.hint(&caller.user, &caller.origin).await;
        let Ok(hint) = self.outage.record("device hint", hint) else {
            return AfterCheck::Retry;
        };
        let (unseen, retry_after) = match self.is_due(caller, hint).await {
            Ok(LimitDecision::Admitted) => (!hint.seen, None),
            Ok(LimitDecision::Refused(wait)) => (false, Some(wait)),
            Err(_unavailable) => return AfterCheck::Retry,
        };
        let alerts_sent = check.has_alerts || hint.no_open_alerts || is_gone;
        if alerts_sent && !unseen {
            return retry_after.map_or(AfterCheck::Done, AfterCheck::After);
        }
        let work = Work::Joined(Joined { unseen, alerts_sent });
        match self.workers.request(caller.requester(), work, self.within).await {
            // Not checked: a dependency is unavailable, or the user has too many pending jobs.
            Ok(None) => AfterCheck::Retry,
            Ok(Some(outcome)) if matches!(outcome.error, Some(ErrorCode::Unavailable | ErrorCode::RateLimited)) => {
                AfterCheck::Retry
            }
            Ok(Some(outcome)) => {
                if (check.deliver(&outcome) || outcome.error.is_some()) && unseen && !alerts_sent {
                    // The next job checks the origin, even if the socket has closed meanwhile.
                    check.is_tried = false;
                    return AfterCheck::After(Duration::ZERO);
                }
                retry_after.map_or(AfterCheck::Done, AfterCheck::After)
            }
            Err(_unavailable) => AfterCheck::Retry,
        }
    }

    /// Charges the check of a first-seen origin to the user's limit.
    async fn is_due(&self, caller: &Caller, hint: Hint) -> Result<LimitDecision, BusError> {
        if hint.seen {
            return Ok(LimitDecision::Admitted);
        }
        let decision = self.limits.admit(&caller.user, &DEVICES, PER_MINUTE).await;
        self.outage.record("rate limit check", decision)
    }
}

/// Step after a check.
enum AfterCheck {
    /// None.
    Done,
    /// The check is retried with backoff.
    Retry,
    /// The check runs again after this time.
    After(Duration),
}

/// Check of one socket.
struct JoinCheck {
    caller: Arc<Caller>,
    backoff: Backoff,
    /// True if the check of its origin was attempted.
    is_tried: bool,
    /// True if its client has received the open alerts.
    has_alerts: bool,
}

impl JoinCheck {
    fn new(caller: Arc<Caller>, has_alerts: bool) -> Self {
        Self {
            caller,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            is_tried: false,
            has_alerts,
        }
    }

    /// Sends the open alerts once. True if there were any.
    fn deliver(&mut self, outcome: &JobOutcome) -> bool {
        if std::mem::replace(&mut self.has_alerts, true) {
            return false;
        }
        let open: Option<AlertsAnswer> = outcome.data.read().ok();
        let open = open.map_or_else(Vec::new, |open| open.alerts);
        for alert in &open {
            self.push(alert);
        }
        !open.is_empty()
    }

    fn push(&self, alert: &Alert) {
        let push = Push {
            event: name::ALERT,
            data: &Json::of(alert),
            offset: None,
            event_id: Some(alert.alert_id.as_str()),
        };
        self.caller.send(vec![self.caller.encoding.push(&push)]);
    }
}

/// Checks of first-seen devices and networks of one user: each may cost a row and an alert. Further checks are delayed.
const DEVICES: Bucket = Bucket {
    name: "devices",
    scope: None,
};
const PER_MINUTE: Quota = Quota {
    count: 10,
    period: Duration::from_secs(60),
};

/// Concurrent checks of a gateway.
const MAX_RUNNING: usize = 32;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
