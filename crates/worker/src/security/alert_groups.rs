//! Group commit of alerts: alerts that jobs raise at the same time share a transaction, and their events are published right after it
//! from memory. The next group marks those events as sent.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::OutageReporter;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use store::{AlertRequest, Alerts, Outbox, RaisedAlert, SentEvent, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::outage::report_failure;
use crate::outbox::{CommittedEvent, OutboxRelay};

/// Queue of the alerts that wait for a group. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct AlertQueue(mpsc::Sender<WaitingAlert>);

/// Commits groups of alerts, one after the other.
pub(crate) struct AlertGroups {
    pub(crate) alerts: Arc<dyn Alerts>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) relay: Arc<OutboxRelay>,
    pub(crate) queue: mpsc::Receiver<WaitingAlert>,
}

/// Alert that waits for a group, and its job.
#[derive(Debug)]
pub(crate) struct WaitingAlert {
    request: AlertRequest,
    job: oneshot::Sender<GroupResult>,
}

/// Result of one alert, or the outage in which its whole group failed.
type GroupResult = Result<RaisedAlert, Arc<StoreError>>;

impl AlertQueue {
    /// Queue, and its end for [`AlertGroups`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<WaitingAlert>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Raises an alert with the next group, and publishes its event unless the result says otherwise. The job keeps the permit of its
    /// lane only until the queue has taken the alert: a group has one connection to the store, however many jobs wait for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], of the whole group.
    pub(super) async fn raise(&self, call: &Call, request: AlertRequest) -> GroupResult {
        let Ok(slot) = self.0.reserve().await else {
            return Ok(RaisedAlert::Alone);
        };
        call.release_lane();
        let (job, raised) = oneshot::channel();
        slot.send(WaitingAlert { request, job });
        raised.await.unwrap_or(Ok(RaisedAlert::Alone))
    }
}

impl AlertGroups {
    /// Commits groups until no job can raise an alert any more.
    pub(crate) async fn run(mut self) {
        let outage = OutageReporter::new("mark events as sent");
        let mut sent = Vec::new();
        let mut group = Vec::with_capacity(MAX_GROUP);
        let mut is_busy = false;
        loop {
            let received = if sent.is_empty() {
                self.queue.recv_many(&mut group, MAX_GROUP).await
            } else {
                let waiting = self.queue.recv_many(&mut group, MAX_GROUP);
                let Ok(received) = timeout(MARK_AFTER, waiting).await else {
                    self.mark(&mut sent, &outage).await;
                    continue;
                };
                received
            };
            if received == 0 {
                self.mark(&mut sent, &outage).await;
                return;
            }
            // A lone alert waits for nothing: only where the last group was larger is another alert likely.
            if is_busy {
                sleep(GATHER_FOR).await;
            }
            while group.len() < MAX_GROUP
                && let Ok(waiting) = self.queue.try_recv()
            {
                group.push(waiting);
            }
            is_busy = group.len() > 1;
            self.commit(&mut group, &mut sent).await;
        }
    }

    /// Commits a group, publishes its events, and answers its jobs.
    async fn commit(&self, group: &mut Vec<WaitingAlert>, sent: &mut Vec<SentEvent>) {
        // A job that was stopped at its deadline raises nothing more.
        let waiting = group.drain(..).filter(|waiting| !waiting.job.is_closed());
        let (requests, jobs): (Vec<_>, Vec<_>) = waiting.map(|waiting| (waiting.request, waiting.job)).unzip();
        if requests.is_empty() {
            return;
        }
        let raised = match self.alerts.raise_alerts(&requests, sent).await {
            Ok(raised) => raised,
            Err(error) => {
                // The sweep publishes the unmarked events again, and the bus drops them.
                sent.clear();
                refuse(jobs, error);
                return;
            }
        };
        let committed = requests
            .iter()
            .zip(&raised)
            .filter_map(|(request, raised)| match raised {
                RaisedAlert::Publish(id) => Some(CommittedEvent {
                    id: *id,
                    user: &request.alert().user_id,
                    event: request.event(),
                }),
                RaisedAlert::Relay | RaisedAlert::Alone => None,
            });
        let published = self.relay.publish_committed(committed.collect()).await;
        *sent = published.sent;
        for (job, raised) in jobs.into_iter().zip(raised) {
            let raised = match raised {
                RaisedAlert::Publish(id) if published.unrestored.contains(&id) => RaisedAlert::Relay,
                raised => raised,
            };
            // A job that does not wait any more is delivered again, and finds its alert.
            drop(job.send(Ok(raised)));
        }
    }

    async fn mark(&self, sent: &mut Vec<SentEvent>, outage: &OutageReporter) {
        match self.outbox.mark_sent(sent).await {
            Ok(()) => outage.succeeded(),
            Err(error) => report_failure(outage, &error),
        }
        sent.clear();
    }
}

/// Answers the jobs of a group that failed. In an outage all fail; otherwise each raises its alert alone, so that one which cannot be
/// stored fails alone.
fn refuse(jobs: Vec<oneshot::Sender<GroupResult>>, error: StoreError) {
    let error = Arc::new(error);
    for job in jobs {
        let answer = match error.code() {
            ErrorCode::Unavailable => Err(Arc::clone(&error)),
            _ => Ok(RaisedAlert::Alone),
        };
        drop(job.send(answer));
    }
}

/// Alerts of one group: its transaction is well within the time limits of Postgres.
const MAX_GROUP: usize = 256;

/// Alerts that wait for a group; further jobs wait with the permits of their lane.
const MAX_WAITING: usize = 512;

/// Time for which a group gathers alerts. With the timer's resolution of 1 ms, an alert waits at most 2 ms.
const GATHER_FOR: Duration = Duration::from_millis(1);

/// Time without a further group after which the events of the last one are marked; less than the age at which a sweep takes them for
/// left behind.
const MARK_AFTER: Duration = Duration::from_millis(100);
