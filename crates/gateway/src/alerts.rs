//! Alerts that ask to be acknowledged come again to each socket that joins, until they are.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Entropy, Tasks};
use protocol::answer::Alerts;
use protocol::cluster::job::{Job, Outcome, Work};
use protocol::code::ErrorCode;
use protocol::event::name;
use protocol::fault::chain;
use protocol::json::Json;
use protocol::security::Alert;
use protocol::wire::Push;
use tokio::sync::Semaphore;

use crate::command::{Caller, Inquiries};
use crate::name as names;

/// Asks the worker, which alone knows them, on behalf of each new socket. No socket waits for it.
pub(crate) struct OpenAlerts {
    inquiries: Arc<Inquiries>,
    patience: Duration,
    entropy: Arc<dyn Entropy>,
    tasks: Tasks,
    /// When many sockets join at once, their inquiries leave the workers to the clients' commands.
    places: Arc<Semaphore>,
}

impl OpenAlerts {
    pub(crate) fn new(inquiries: Arc<Inquiries>, patience: Duration, entropy: Arc<dyn Entropy>, tasks: Tasks) -> Self {
        Self {
            inquiries,
            patience,
            entropy,
            tasks,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Tells a socket that has just joined what is open. An alert that is raised meanwhile may be heard twice, under one name.
    pub(crate) fn tell(&self, caller: &Arc<Caller>) {
        let inquiry = Inquiry {
            inquiries: Arc::clone(&self.inquiries),
            patience: self.patience,
            entropy: Arc::clone(&self.entropy),
            places: Arc::clone(&self.places),
            caller: Arc::clone(caller),
        };
        let drain = self.tasks.soft();
        self.tasks.each("open alerts", async move {
            tokio::select! {
                // The socket hears of them where it comes back.
                () = drain.cancelled() => {}
                () = inquiry.tell() => {}
            }
        });
    }
}

/// What is asked for one socket.
struct Inquiry {
    inquiries: Arc<Inquiries>,
    patience: Duration,
    entropy: Arc<dyn Entropy>,
    places: Arc<Semaphore>,
    caller: Arc<Caller>,
}

impl Inquiry {
    /// Asks until it is answered or the socket is gone.
    async fn tell(&self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while !self.caller.is_gone() {
            if let Some(outcome) = self.ask().await {
                let open: Option<Alerts> = outcome.data.read().ok();
                let open = open.into_iter().flat_map(|open| open.alerts);
                open.for_each(|alert| self.push(&alert));
                return;
            }
            tokio::time::sleep(backoff.next(&*self.entropy)).await;
        }
    }

    /// None when no worker could answer just now.
    async fn ask(&self) -> Option<Outcome> {
        let _place = self.places.acquire().await.ok()?;
        let job = Job {
            v: Job::VERSION,
            id: names::job(&*self.entropy),
            user: self.caller.user.clone(),
            session: self.caller.session.clone(),
            connection: self.caller.connection.clone(),
            node: self.inquiries.node().clone(),
            idempotency_key: None,
            authenticated_at: None,
            work: Work::OpenAlerts,
        };
        match self.inquiries.ask(&job, self.patience).await {
            Ok(outcome) => outcome.filter(|outcome| outcome.error != Some(ErrorCode::Unavailable)),
            Err(error) => {
                // The bus has said so itself, once for all sockets.
                tracing::debug!(error = chain(&error), "open alerts could not be asked for");
                None
            }
        }
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
