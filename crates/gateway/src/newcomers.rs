//! What a worker does for a socket that has joined: alerts that ask to be acknowledged come again until they are, and a device or a
//! network that is new to its user is looked at. Where hints say that there is nothing to do, no worker is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Bucket, Bus, BusError, Hint, LimitDecision, Quota};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifecycle::{Backoff, Entropy};
use protocol::cluster::job::{JobOutcome, Joined, Work};
use protocol::code::ErrorCode;
use protocol::command::AlertsAnswer;
use protocol::event::name;
use protocol::fault::chain;
use protocol::json::Json;
use protocol::security::Alert;
use protocol::wire::Push;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

use crate::command::{Caller, WorkerClient};

/// Asks on behalf of each new socket. No socket waits for it, and one that is waited for costs a place in a queue.
pub(crate) struct Newcomers {
    bus: Arc<dyn Bus>,
    workers: Arc<WorkerClient>,
    job_timeout: Duration,
    entropy: Arc<dyn Entropy>,
    /// Sockets that have joined since the task last looked: no more than are live.
    joined: Mutex<Vec<Inquiry>>,
    news: Notify,
}

impl Newcomers {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        workers: Arc<WorkerClient>,
        job_timeout: Duration,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            bus,
            workers,
            job_timeout,
            entropy,
            joined: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Has a socket that has just joined told what is open, unless its client missed nothing and was told before. An alert that is
    /// raised meanwhile may be heard twice, under one name.
    pub(crate) fn tell(&self, caller: &Arc<Caller>, recovered: bool) {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.push(Inquiry::new(Arc::clone(caller), recovered));
        drop(joined);
        self.news.notify_one();
    }

    /// Asks for every socket until it is answered or the socket is gone. A socket of a draining node hears where it comes back.
    pub(crate) async fn run(self: Arc<Self>, drain: CancellationToken) {
        let mut waiting = VecDeque::new();
        let mut asking = FuturesUnordered::new();
        let mut later = DelayQueue::new();
        loop {
            // When many sockets join at once, their inquiries leave the workers to the clients' commands.
            while asking.len() < AT_ONCE
                && let Some(inquiry) = waiting.pop_front()
            {
                asking.push(self.ask(inquiry));
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = self.news.notified() => waiting.extend(self.joined()),
                Some((mut inquiry, next)) = asking.next() => match next {
                    Next::Done => {}
                    Next::After(wait) => {
                        later.insert(inquiry, wait);
                    }
                    Next::Again => {
                        let wait = inquiry.backoff.next(&*self.entropy);
                        later.insert(inquiry, wait);
                    }
                },
                Some(due) = later.next() => waiting.push_back(due.into_inner()),
            }
        }
    }

    fn joined(&self) -> Vec<Inquiry> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *joined)
    }

    async fn ask(&self, mut inquiry: Inquiry) -> (Inquiry, Next) {
        let next = self.next(&mut inquiry).await;
        (inquiry, next)
    }

    async fn next(&self, inquiry: &mut Inquiry) -> Next {
        let caller = &inquiry.caller;
        let is_gone = caller.is_gone();
        // Who leaves at once may have had a reason to: where it came from is looked at all the same, once.
        if is_gone && inquiry.tried {
            return Next::Done;
        }
        inquiry.tried = true;
        let Ok(hint) = self.bus.hint(&caller.user, &caller.origin).await else {
            // The bus has said so itself, once for all sockets.
            return Next::Again;
        };
        let (unseen, again) = match self.is_due(caller, hint).await {
            Ok(LimitDecision::Admitted) => (!hint.seen, None),
            Ok(LimitDecision::Refused(wait)) => (false, Some(wait)),
            Err(_away) => return Next::Again,
        };
        let alerts_sent = inquiry.alerts_sent || hint.no_open_alerts || is_gone;
        if alerts_sent && !unseen {
            return again.map_or(Next::Done, Next::After);
        }
        let work = Work::Joined(Joined { unseen, alerts_sent });
        let job = caller.job(self.workers.node(), &*self.entropy, work);
        match self.workers.ask(&job, self.job_timeout).await {
            // Nobody has looked: a part is away, or the user has too many jobs in hand.
            Ok(None) => Next::Again,
            Ok(Some(outcome)) if matches!(outcome.error, Some(ErrorCode::Unavailable | ErrorCode::RateLimited)) => {
                Next::Again
            }
            Ok(Some(outcome)) => {
                if (inquiry.tell(&outcome) || outcome.error.is_some()) && unseen && !alerts_sent {
                    // Only now does the worker look at where the socket came from, also when the socket has left meanwhile.
                    inquiry.tried = false;
                    return Next::After(Duration::ZERO);
                }
                again.map_or(Next::Done, Next::After)
            }
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    "no worker could be asked about a socket that joined"
                );
                Next::Again
            }
        }
    }

    /// Whether a worker may be asked now about where a socket comes from; always, where nothing is to be asked.
    async fn is_due(&self, caller: &Caller, hint: Hint) -> Result<LimitDecision, BusError> {
        if hint.seen {
            return Ok(LimitDecision::Admitted);
        }
        self.bus.admit(&caller.user, &DEVICES, PER_MINUTE).await
    }
}

/// What follows.
enum Next {
    /// Nothing more.
    Done,
    /// It is tried again, by and by.
    Again,
    /// It is tried again after this.
    After(Duration),
}

/// What is asked for one socket.
struct Inquiry {
    caller: Arc<Caller>,
    backoff: Backoff,
    /// A worker was asked where it comes from, or that was tried.
    tried: bool,
    /// It knows which alerts were open.
    alerts_sent: bool,
}

impl Inquiry {
    fn new(caller: Arc<Caller>, alerts_sent: bool) -> Self {
        Self {
            caller,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            tried: false,
            alerts_sent,
        }
    }

    /// True when there was anything to tell.
    fn tell(&mut self, outcome: &JobOutcome) -> bool {
        if std::mem::replace(&mut self.alerts_sent, true) {
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
            event: name::ALERT.to_owned(),
            data: Json::of(alert),
            offset: None,
        };
        self.caller.send(vec![self.caller.form.push(&push)]);
    }
}

/// New devices and networks of one user that are looked at: each may cost a row and an alert. What is beyond waits.
const DEVICES: Bucket = Bucket {
    name: "devices",
    scope: None,
};
const PER_MINUTE: Quota = Quota {
    count: 10,
    period: Duration::from_secs(60),
};

/// Inquiries of a gateway at once.
const AT_ONCE: usize = 32;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
