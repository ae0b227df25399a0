//! Alerts that ask to be acknowledged come again to each socket that joins, until they are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifecycle::{Backoff, Entropy};
use protocol::answer::Alerts;
use protocol::cluster::job::{Outcome, Work};
use protocol::code::ErrorCode;
use protocol::event::name;
use protocol::fault::chain;
use protocol::json::Json;
use protocol::security::Alert;
use protocol::wire::Push;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

use crate::command::{Caller, Inquiries};

/// Asks the worker, which alone knows them, on behalf of each new socket. No socket waits for it, and one that is waited for
/// costs a place in a queue.
pub(crate) struct OpenAlerts {
    inquiries: Arc<Inquiries>,
    patience: Duration,
    entropy: Arc<dyn Entropy>,
    /// Sockets that have joined since the task last looked: no more than are live.
    joined: Mutex<Vec<Arc<Caller>>>,
    news: Notify,
}

impl OpenAlerts {
    pub(crate) fn new(inquiries: Arc<Inquiries>, patience: Duration, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            inquiries,
            patience,
            entropy,
            joined: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Has a socket that has just joined told what is open. An alert that is raised meanwhile may be heard twice, under one name.
    pub(crate) fn tell(&self, caller: &Arc<Caller>) {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.push(Arc::clone(caller));
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
                Some((mut inquiry, outcome)) = asking.next() => match outcome {
                    Some(outcome) => inquiry.tell(&outcome),
                    None if inquiry.caller.is_gone() => {}
                    None => {
                        let wait = inquiry.backoff.next(&*self.entropy);
                        later.insert(inquiry, wait);
                    }
                },
                Some(due) = later.next() => waiting.push_back(due.into_inner()),
            }
        }
    }

    fn joined(&self) -> impl Iterator<Item = Inquiry> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *joined).into_iter().map(Inquiry::new)
    }

    /// No outcome when no worker could answer just now, or nobody is there to be told.
    async fn ask(&self, inquiry: Inquiry) -> (Inquiry, Option<Outcome>) {
        let caller = &inquiry.caller;
        if caller.is_gone() {
            return (inquiry, None);
        }
        let job = caller.job(self.inquiries.node(), &*self.entropy, Work::OpenAlerts);
        let outcome = match self.inquiries.ask(&job, self.patience).await {
            Ok(outcome) => outcome.filter(|outcome| outcome.error != Some(ErrorCode::Unavailable)),
            Err(error) => {
                // The bus has said so itself, once for all sockets.
                tracing::debug!(error = chain(&error), "open alerts could not be asked for");
                None
            }
        };
        (inquiry, outcome)
    }
}

/// What is asked for one socket.
struct Inquiry {
    caller: Arc<Caller>,
    backoff: Backoff,
}

impl Inquiry {
    fn new(caller: Arc<Caller>) -> Self {
        Self {
            caller,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    fn tell(&self, outcome: &Outcome) {
        let open: Option<Alerts> = outcome.data.read().ok();
        let open = open.into_iter().flat_map(|open| open.alerts);
        open.for_each(|alert| self.push(&alert));
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

/// Inquiries of a gateway at once.
const AT_ONCE: usize = 32;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
