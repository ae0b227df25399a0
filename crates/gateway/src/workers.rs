//! Client of the workers: builds jobs, submits them, and waits for the replies to the gateway's own requests.

mod lanes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{BusError, Jobs, SessionKey};
use lifecycle::Entropy;
use protocol::cluster::job::{Job, JobOutcome, Reply, Work};
use protocol::cluster::origin::Origin;
use protocol::fault::Fault;
use protocol::id::{ConnectionId, JobId, NodeId};
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Instrument;

use self::lanes::LaneOutages;
use crate::bus_outage::BusOutage;
use crate::{ids, trace};

/// Job client of this node.
pub(crate) struct WorkerClient {
    jobs: Arc<dyn Jobs>,
    outage: Arc<BusOutage>,
    lanes: LaneOutages,
    node: NodeId,
    entropy: Arc<dyn Entropy>,
    waiting: Mutex<HashMap<JobId, oneshot::Sender<JobOutcome>>>,
}

/// Party on whose behalf a job runs.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// User and session.
    pub(crate) session: SessionKey,
    /// Socket; a job without one gets an id of its own.
    pub(crate) connection: Option<ConnectionId>,
    /// Address and device, where known.
    pub(crate) origin: Option<Origin>,
    /// Trace that the request continues; a job without one begins a trace.
    pub(crate) traceparent: Option<TraceParent>,
    /// Time of the last sign-in, as the token states it.
    pub(crate) authenticated_at: Option<Timestamp>,
    /// End of the socket's token; none without a socket.
    pub(crate) token_expires_at: Option<Timestamp>,
    /// Idempotency key of the request, if it has one.
    pub(crate) idempotency_key: Option<String>,
}

impl Requester {
    /// Platform that calls a webhook, which is no user.
    pub(crate) fn webhook(origin: Origin) -> Self {
        let (user, session, connection) = ids::webhook();
        Self {
            connection: Some(connection),
            ..Self::without_socket(SessionKey { user, session }, Some(origin))
        }
    }

    /// Server of the application, on behalf of a user but in none of its sessions.
    pub(crate) fn internal_api(session: SessionKey, origin: Option<Origin>, traceparent: Option<TraceParent>) -> Self {
        Self {
            traceparent,
            ..Self::without_socket(session, origin)
        }
    }

    /// Requester without a socket.
    pub(crate) fn without_socket(session: SessionKey, origin: Option<Origin>) -> Self {
        Self {
            session,
            connection: None,
            origin,
            traceparent: None,
            authenticated_at: None,
            token_expires_at: None,
            idempotency_key: None,
        }
    }
}

impl WorkerClient {
    /// Creates the job client of this node.
    pub(crate) fn new(
        (jobs, outage): (Arc<dyn Jobs>, Arc<BusOutage>),
        node: NodeId,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            jobs,
            outage,
            lanes: LaneOutages::new(),
            node,
            entropy,
            waiting: Mutex::default(),
        }
    }

    /// Id of this node.
    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// Builds a job with a new id, which this node awaits.
    pub(crate) fn job(&self, requester: Requester, work: Work) -> Job {
        let entropy = &*self.entropy;
        Job {
            v: work.version(),
            id: ids::job(entropy),
            user: requester.session.user,
            session: requester.session.session,
            connection: requester.connection.unwrap_or_else(|| ids::connection(entropy)),
            node: self.node.clone(),
            origin: requester.origin,
            traceparent: requester.traceparent.unwrap_or_else(|| ids::trace(entropy)),
            idempotency_key: requester.idempotency_key,
            authenticated_at: requester.authenticated_at,
            token_expires_at: requester.token_expires_at,
            work,
        }
    }

    /// Queues a job in its lane, to be run within this time. Where traces are exported, the job continues that of the submission.
    ///
    /// # Errors
    /// [`BusError::Unserved`]: no worker would claim the job, which is not queued. Any other: it is not known to be queued.
    pub(crate) async fn submit(&self, job: &mut Job, within: Duration) -> Result<(), BusError> {
        let lane = job.work.lane();
        let span = trace::submission(lane, job.work.name());
        if let Some(submission) = span.in_scope(telemetry::trace::current) {
            job.traceparent = submission;
        }
        tracing::debug!(
            user = %job.user,
            conn = %job.connection,
            command = job.work.name(),
            job = %job.id,
            trace = job.traceparent.trace_id(),
            "job submitted"
        );
        let submitted = self.jobs.submit(lane, job, within).instrument(span.clone()).await;
        if let Err(error) = &submitted {
            telemetry::trace::failed(&span, error.code().as_str(), error);
        }
        self.lanes.record(lane, &submitted);
        self.outage.record("job submission", submitted)
    }

    /// Submits a job and waits for its reply; `None` if none arrives in time.
    ///
    /// # Errors
    /// [`BusError`]: the job is not known to be queued.
    pub(crate) async fn request(
        &self,
        requester: Requester,
        work: Work,
        within: Duration,
    ) -> Result<Option<JobOutcome>, BusError> {
        let mut job = self.job(requester, work);
        let (sender, mut receiver) = oneshot::channel();
        self.waiting().insert(job.id.clone(), sender);
        let _waiting = Waiting {
            client: self,
            job: job.id.clone(),
        };
        self.submit(&mut job, within).await?;
        if let Ok(Ok(outcome)) = timeout(within / 2, &mut receiver).await {
            return Ok(Some(outcome));
        }
        // The announcement of the reply may have been lost.
        let stored = self
            .jobs
            .stored_replies(&self.node, std::slice::from_ref(&job.id))
            .await?;
        if let Some(reply) = stored.into_iter().next() {
            return Ok(Some(reply.outcome));
        }
        Ok(timeout(within / 2, receiver).await.ok().and_then(Result::ok))
    }

    /// Passes a reply to the request that waits for it. True if there was one.
    pub(crate) fn complete(&self, reply: &Reply) -> bool {
        let Some(sender) = self.waiting().remove(&reply.job) else {
            return false;
        };
        // The request may have timed out meanwhile.
        drop(sender.send(reply.outcome.clone()));
        true
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<JobId, oneshot::Sender<JobOutcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entry of one request, removed when the request ends.
struct Waiting<'a> {
    client: &'a WorkerClient,
    job: JobId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.client.waiting().remove(&self.job);
    }
}
