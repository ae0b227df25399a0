//! Run of one job, from its claim to its answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use bus::{ClaimedJob, EntryId};
use futures_util::FutureExt;
use lifecycle::OutageReporter;
use protocol::answer::Failure;
use protocol::cluster::job::{Job, JobOutcome, Lane, Reply, Work};
use protocol::code::{ErrorCode, FaultClass};
use protocol::command::{Effect, Relay};
use protocol::fault::{Fault, chain};
use store::vault::Vault;
use store::{Answers, PreviousAnswer, SessionRecords, StoreError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::answers::AnswerQueue;
use super::dispatch::Dispatch;
use super::trace::record_end;
use super::work_policy;
use crate::call::{Call, LanePermit, Refusal};
use crate::factor::{is_logged_outage, is_refused_message};
use crate::metrics::{LATE, Metrics, OK};
use crate::outage::{is_logged, report_failure};
use crate::outbox::OutboxRelay;

/// Runs jobs.
pub(crate) struct Runner {
    pub(crate) dispatch: Dispatch,
    pub(crate) finished: AnswerQueue,
    pub(crate) answers: Arc<dyn Answers>,
    pub(crate) sessions: Arc<dyn SessionRecords>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) relay: Arc<OutboxRelay>,
    /// Notified when a job may have queued a revocation.
    pub(crate) revocations: Arc<Notify>,
    pub(crate) metrics: Metrics,
    /// Outages of bus or store in which jobs fail.
    pub(crate) execution: OutageReporter,
}

/// End of a run.
enum Ended {
    Answered(JobOutcome),
    /// The feature panicked. The job is answered `internal`, then the panic is resumed.
    Panicked(JobOutcome, Box<dyn Any + Send>),
    /// The deadline passed, and uncommitted work was dropped; the gateway has answered `timeout`.
    Late,
}

impl Runner {
    /// Runs a job and answers it. The job has its lane's permit until the end, unless the feature releases it.
    ///
    /// # Panics
    /// When the feature panicked, after the job was answered: the owner of the task counts it.
    pub(super) async fn run(&self, lane: Lane, claimed: ClaimedJob, permit: LanePermit) {
        let ClaimedJob { entry, job, deadline } = claimed;
        let started = Instant::now();
        let ended = self.work(&job, deadline, permit.clone()).await;
        self.metrics.job(job.work.name(), ended.label(), started.elapsed());
        record_end(ended.label(), ended.failure());
        tracing::debug!(ended = ended.label(), "job done");
        tokio::join!(self.answer(lane, entry, &job, ended.outcome()), self.follow_up(&job));
        drop(permit);
        if let Ended::Panicked(_, panic) = ended {
            resume_unwind(panic);
        }
    }

    /// Answers a job that may not wait, because too many jobs of its user do: `rate_limited`.
    pub(super) async fn refuse(&self, lane: Lane, claimed: &ClaimedJob) {
        let ClaimedJob { entry, job, deadline } = claimed;
        let call = Call::new(job, *deadline, Arc::clone(&self.vault), LanePermit::none());
        let failure = Failure {
            retry_after: Some(1),
            ..Failure::of(ErrorCode::RateLimited)
        };
        let outcome = JobOutcome::from(&call.complete(failure));
        let refused = ErrorCode::RateLimited.as_str();
        self.metrics.job(job.work.name(), refused, Duration::ZERO);
        record_end(refused, None);
        self.answer(lane, entry.clone(), job, Some(outcome)).await;
    }

    /// Removes a job that has waited until its deadline; the gateway has answered `timeout`.
    pub(super) async fn expire(&self, lane: Lane, claimed: &ClaimedJob) {
        tracing::warn!("job dropped, its deadline passed before it could run");
        let late = Ended::Late.label();
        self.metrics.job(claimed.job.work.name(), late, Duration::ZERO);
        record_end(late, Some(late));
        self.answer(lane, claimed.entry.clone(), &claimed.job, None).await;
    }

    async fn work(&self, job: &Job, deadline: Instant, permit: LanePermit) -> Ended {
        let call = Call::new(job, deadline, Arc::clone(&self.vault), permit);
        // Unwind safety: the state of the feature is only dropped after a panic, never read.
        let attempt = AssertUnwindSafe(self.attempt(&call, job)).catch_unwind();
        match timeout_at(deadline, attempt).await {
            Ok(Ok(Ok(outcome))) => {
                self.execution.succeeded();
                Ended::Answered(outcome)
            }
            Ok(Ok(Err(refusal))) => {
                self.report(&*refusal);
                Ended::Answered(call.refused(&*refusal))
            }
            Ok(Err(panic)) => {
                let failure = call.complete(Failure::of(ErrorCode::Internal));
                Ended::Panicked(JobOutcome::from(&failure), panic)
            }
            Err(_past_the_deadline) => {
                tracing::warn!("job stopped at its deadline");
                Ended::Late
            }
        }
    }

    /// Executes the job, or repeats the stored answer of the job or of its idempotency key. A caller that may not ask, or whose session
    /// has ended, receives no stored answer.
    async fn attempt(&self, call: &Call, job: &Job) -> Result<JobOutcome, Box<dyn Refusal>> {
        let previous_answer = self.previous_answer(call, &job.work).await?;
        let step_up = self.dispatch.factor.step_up(call, &job.work).await?;
        let outcome = match previous_answer {
            PreviousAnswer::Nothing => {
                let outcome = self.dispatch.dispatch(call, &job.work, step_up).await?;
                self.refuse_read_of_ended_session(call, &job.work).await?;
                outcome
            }
            PreviousAnswer::Answer(answer) => {
                self.dispatch.before_repeated_answer(call, &job.work).await?;
                call.recall(&answer)?
            }
            PreviousAnswer::OtherBody => return Err(OtherBody.into()),
        };
        // The end must be published before the answer: every gateway then sees later events after the end.
        if work_policy::relay(&job.work) == Relay::BeforeAnswer && !self.relay.user(&job.user).await {
            return Err(EndsUnpublished.into());
        }
        Ok(outcome)
    }

    async fn previous_answer(&self, call: &Call, work: &Work) -> Result<PreviousAnswer, StoreError> {
        if !work_policy::may_be_answered(work) {
            return Ok(PreviousAnswer::Nothing);
        }
        let asker = (&call.user, &call.actor);
        let previous_answer = self
            .answers
            .previous_answer(asker, &call.job, call.idempotency.as_ref());
        previous_answer.await
    }

    /// Refuses a read whose session has ended meanwhile.
    async fn refuse_read_of_ended_session(&self, call: &Call, work: &Work) -> Result<(), StoreError> {
        if work_policy::effect(work) == Effect::Read
            && self.sessions.is_session_ended(&call.user, &call.session).await?
        {
            return Err(StoreError::SessionEnded("answer what was read"));
        }
        Ok(())
    }

    /// Sends the answer and removes the entry.
    async fn answer(&self, lane: Lane, entry: EntryId, job: &Job, outcome: Option<JobOutcome>) {
        let reply = outcome.map(|outcome| Reply {
            v: Job::VERSION,
            job: job.id.clone(),
            outcome,
        });
        self.finished.finish(lane, entry, job.node.clone(), reply).await;
    }

    /// Logs the error of an operation, by the severity of its code. An outage of a dependency is one line at its begin and one at its
    /// end, however many jobs fail in it.
    fn report(&self, refusal: &(dyn Refusal + 'static)) {
        let code = refusal.code();
        let error = chain(refusal);
        match code.fault_class() {
            FaultClass::Caller => tracing::debug!(code = code.as_str(), error, "job refused"),
            FaultClass::Dependency if is_logged(refusal) || is_logged_outage(refusal) => {
                tracing::debug!(code = code.as_str(), error, "job failed in an outage");
            }
            FaultClass::Dependency if code == ErrorCode::Unavailable && !is_refused_message(refusal) => {
                report_failure(&self.execution, refusal);
            }
            FaultClass::Dependency => tracing::warn!(code = code.as_str(), error, "job failed"),
            FaultClass::Internal => tracing::error!(code = code.as_str(), error, "job failed"),
        }
    }

    /// Relays the events and wakes the revocations of a job that may have committed, whatever its outcome.
    async fn follow_up(&self, job: &Job) {
        if work_policy::relay(&job.work) != Relay::NotNeeded {
            self.dispatch.follow_up(job).await;
            self.revocations.notify_one();
            self.relay.user(&job.user).await;
        }
    }
}

impl Ended {
    fn outcome(&self) -> Option<JobOutcome> {
        match self {
            Self::Answered(outcome) | Self::Panicked(outcome, _) => Some(outcome.clone()),
            Self::Late => None,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Answered(outcome) | Self::Panicked(outcome, _) => outcome.error.map_or(OK, ErrorCode::as_str),
            Self::Late => LATE,
        }
    }

    /// Label of an end that is a failure of the cluster or of one of its dependencies.
    fn failure(&self) -> Option<&'static str> {
        match self {
            Self::Answered(outcome) => {
                let failed = |code: &ErrorCode| code.fault_class() != FaultClass::Caller;
                outcome.error.filter(failed).map(ErrorCode::as_str)
            }
            Self::Panicked(..) | Self::Late => Some(self.label()),
        }
    }
}

/// Error of publishing the end of sessions: not every gateway may know it yet.
#[derive(Debug, thiserror::Error)]
#[error("publish the ends of sessions")]
struct EndsUnpublished;

impl Fault for EndsUnpublished {
    fn code(&self) -> ErrorCode {
        ErrorCode::Unavailable
    }
}

impl Refusal for EndsUnpublished {}

/// Refusal of an idempotency key that was used with another body.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency key was used with another body")]
struct OtherBody;

impl Fault for OtherBody {
    fn code(&self) -> ErrorCode {
        ErrorCode::Conflict
    }
}

impl Refusal for OtherBody {
    fn failure(&self) -> Failure {
        Failure::with_message(self.code(), "This idempotency key was used with another request.")
    }
}
