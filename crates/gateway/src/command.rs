//! A client's command on its way to a worker, and the answer on its way back: every request gets one answer, by its deadline.

mod admit;
mod answer;
mod caller;
mod inquiry;
mod keeper;
mod pending;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use lifecycle::{Entropy, Tasks};
use protocol::answer::Failure;
use protocol::cluster::job::{Job, JobOutcome, Reply, Work};
use protocol::code::ErrorCode;
use protocol::command::{Answer, Command, CommandKind, RefreshAnswer, idempotency_key};
use protocol::fault::{Fault, chain};
use protocol::id::{JobId, NodeId};
use protocol::wire::{Request, RequestId};
use serde_json::Value;
use tokio::time::Instant;

use self::answer::Outline;
use self::pending::{Pending, Slot};
use self::refusals::Refusals;
use crate::handshake::authenticator::{Authenticator, TokenPurpose};
use crate::handshake::token::Identity;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::settings::{Rate, Timing};

pub(crate) use self::admit::{command_limit, per_minute, rate_limited};
pub(crate) use self::caller::Caller;
pub(crate) use self::inquiry::WorkerClient;

/// Takes commands of all sockets of this gateway.
pub(crate) struct Commands {
    bus: Arc<dyn Bus>,
    sessions: Arc<Sessions>,
    workers: Arc<WorkerClient>,
    node: NodeId,
    timing: Timing,
    rate: Option<Rate>,
    pending: Pending,
    refusals: Refusals,
    entropy: Arc<dyn Entropy>,
    tasks: Tasks,
    metrics: Arc<Metrics>,
}

impl Commands {
    /// Commands of this node; `rate` is that of a user's budgets, `tasks` own what is under way.
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        (sessions, workers): (Arc<Sessions>, Arc<WorkerClient>),
        (timing, rate): (Timing, Option<Rate>),
        entropy: Arc<dyn Entropy>,
        tasks: Tasks,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            bus,
            node: workers.node().clone(),
            sessions,
            workers,
            timing,
            rate,
            pending: Pending::default(),
            refusals: Refusals::default(),
            entropy,
            tasks,
            metrics,
        }
    }

    /// Takes a request. It is answered into the caller's queue, now or later.
    pub(crate) fn take(self: &Arc<Self>, caller: &Arc<Caller>, request: Request) {
        let Some(kind) = CommandKind::of_event(&request.event) else {
            let failure = Failure::of(ErrorCode::UnknownEvent);
            self.refuse(caller, Some(request.event), &failure, request.id.as_ref());
            return;
        };
        let outline = Outline::of(kind, &request.data);
        let job = self.job(caller, kind, request.data).and_then(|job| {
            self.open(caller, &job.id, outline.clone(), request.id.clone())?;
            Ok(job)
        });
        match job {
            Ok(job) => self.send_on(Arc::clone(caller), job),
            Err(failure) => self.answer_failed(caller, &outline, &failure, request.id.as_ref(), Duration::ZERO),
        }
    }

    /// Takes `auth:refresh`: another token of the same user and session. True when it has replaced the one before.
    pub(crate) async fn refresh(&self, caller: &Caller, request: Request, authenticator: &Authenticator) -> bool {
        let Request { data, id, .. } = request;
        let outline = Outline::of(CommandKind::Refresh, &data);
        let renewed = match renewed(caller, data, authenticator).await {
            Ok(identity) => {
                let recorded = self.sessions.renew_token(caller, identity.issued).await;
                recorded.map(|()| identity)
            }
            Err(failure) => Err(failure),
        };
        match renewed {
            Ok(identity) => {
                caller.renew_token(&identity);
                let expires = identity.expires;
                self.metrics.answered(CommandKind::Refresh, None, Duration::ZERO);
                let refreshed = Answer::Refresh(RefreshAnswer { expires_at: expires });
                answer::with_event(caller, CommandKind::Refresh, &refreshed.data(), id.as_ref());
                true
            }
            Err(failure) => {
                self.answer_failed(caller, &outline, &failure, id.as_ref(), Duration::ZERO);
                false
            }
        }
    }

    /// Answers a request that is held back because its socket says too much.
    pub(crate) fn hold_back(&self, caller: &Caller, request: &Request, wait: Duration) {
        let failure = rate_limited(wait);
        match CommandKind::of_event(&request.event) {
            Some(kind) => {
                let outline = Outline::of(kind, &request.data);
                self.answer_failed(caller, &outline, &failure, request.id.as_ref(), Duration::ZERO);
            }
            None => self.refuse(caller, Some(request.event.clone()), &failure, request.id.as_ref()),
        }
    }

    /// Answers a frame that names no event.
    pub(crate) fn refuse_nameless(&self, caller: &Caller, id: Option<&RequestId>, held_back: Option<Duration>) {
        let nameless = || Failure::with_message(ErrorCode::BadRequest, "event: a name is required");
        self.refuse(caller, None, &held_back.map_or_else(nameless, rate_limited), id);
    }

    /// Answers what has no response event of its own.
    pub(crate) fn refuse(&self, caller: &Caller, event: Option<String>, failure: &Failure, id: Option<&RequestId>) {
        self.metrics.refused_request(failure.error);
        answer::without_event(caller, event, failure, id);
    }

    /// Makes a job of a command, as far as that can be decided without asking anyone.
    fn job(&self, caller: &Caller, kind: CommandKind, data: Value) -> Result<Job, Failure> {
        let idempotency_key = idempotency_key(&data).map_err(|invalid| admit::invalid(&invalid))?;
        let command = Command::parse(kind, data).map_err(|invalid| admit::invalid(&invalid))?;
        admit::own_user(caller, &command)?;
        Ok(Job {
            idempotency_key,
            ..caller.job(&self.node, &*self.entropy, Work::Command(command))
        })
    }

    /// Opens the slot that will be answered, by its deadline at the latest.
    fn open(
        &self,
        caller: &Arc<Caller>,
        job: &JobId,
        outline: Outline,
        request: Option<RequestId>,
    ) -> Result<(), Failure> {
        let permit = caller.begin().ok_or_else(|| rate_limited(BUSY_WAIT))?;
        let now = Instant::now();
        let slot = Slot {
            caller: Arc::clone(caller),
            request,
            opened: now,
            deadline: now + self.timing.job_timeout(outline.kind().lane()),
            outline,
            _permit: permit,
        };
        self.pending.open(job.clone(), slot);
        Ok(())
    }

    fn send_on(self: &Arc<Self>, caller: Arc<Caller>, job: Job) {
        let commands = Arc::clone(self);
        self.tasks.each("command", async move {
            if let Err(failure) = commands.submit(&caller, &job).await {
                commands.close(&job.id, &failure);
            }
        });
    }

    /// Asks whether the session goes on and the limits, then queues the job.
    async fn submit(&self, caller: &Caller, job: &Job) -> Result<(), Failure> {
        if matches!(job.work, Work::Command(Command::ExtendSession(_))) {
            // No worker knows more of it than the bus.
            let extended = Answer::ExtendSession(self.sessions.extend(caller).await?);
            self.settle(&Reply {
                v: Job::VERSION,
                job: job.id.clone(),
                outcome: JobOutcome::from(&extended),
            });
            return Ok(());
        }
        if matches!(job.work, Work::Command(Command::VerifyTwoFactor(_))) {
            // Its answer names the session's end: activity must not be held back.
            self.sessions.extend(caller).await?;
        } else {
            self.sessions.admit(caller).await?;
        }
        if let Work::Command(command) = &job.work {
            admit::within_limits(&*self.bus, self.rate, caller, command).await?;
        }
        // Found to be over while the limits were asked.
        if caller.is_session_over() {
            return Err(Failure::of(ErrorCode::Forbidden));
        }
        tracing::debug!(
            user = %job.user,
            conn = %job.connection,
            command = job.work.name(),
            job = %job.id,
            trace = job.traceparent.trace_id(),
            "a command is sent on"
        );
        let lane = job.work.lane();
        let submitted = self.bus.submit(lane, job, self.timing.job_timeout(lane)).await;
        submitted.map_err(|error| {
            tracing::warn!(error = chain(&error), "a command could not be queued");
            Failure::of(error.code())
        })
    }

    /// A worker answered.
    fn settle(&self, reply: &Reply) {
        if self.workers.settle(reply) {
            return;
        }
        // Answers come twice, and after the deadline: then there is no slot.
        let Some(slot) = self.pending.close(&reply.job) else {
            return;
        };
        let outcome = &reply.outcome;
        let kind = slot.outline.kind();
        self.metrics.answered(kind, outcome.error, slot.opened.elapsed());
        if let Some(error) = outcome.error {
            self.count_refusal(&slot.caller, kind, error);
        }
        if let Some(leading_notice) = &outcome.leading_notice {
            answer::leading_notice(&slot.caller, leading_notice);
        }
        answer::with_event(&slot.caller, kind, &outcome.data, slot.request.as_ref());
    }

    /// A slot will have no other answer than this failure.
    fn close(&self, id: &JobId, failure: &Failure) {
        if let Some(slot) = self.pending.close(id) {
            let after = slot.opened.elapsed();
            self.answer_failed(&slot.caller, &slot.outline, failure, slot.request.as_ref(), after);
        }
    }

    fn answer_failed(
        &self,
        caller: &Caller,
        outline: &Outline,
        failure: &Failure,
        request: Option<&RequestId>,
        after: Duration,
    ) {
        self.metrics.answered(outline.kind(), Some(failure.error), after);
        self.count_refusal(caller, outline.kind(), failure.error);
        answer::with_event(caller, outline.kind(), &outline.fill(failure).data(), request);
    }

    /// Whoever refused, we or a worker: the audit log of the caller tells it.
    fn count_refusal(&self, caller: &Caller, kind: CommandKind, error: ErrorCode) {
        if !self.refusals.count(caller, kind, error) {
            self.metrics.refusal_uncounted();
        }
    }
}

/// Whom the token of an `auth:refresh` proves: nobody but the caller, in its session.
async fn renewed(caller: &Caller, data: Value, authenticator: &Authenticator) -> Result<Identity, Failure> {
    let command = Command::parse(CommandKind::Refresh, data).map_err(|invalid| admit::invalid(&invalid))?;
    admit::own_user(caller, &command)?;
    let Command::Refresh(refresh) = command else {
        return Err(Failure::of(ErrorCode::Internal));
    };
    let identity = authenticator
        .authenticate(refresh.token.expose(), TokenPurpose::Refresh)
        .await?;
    if identity.user == caller.user && identity.session == caller.session {
        Ok(identity)
    } else {
        Err(Failure::of(ErrorCode::Forbidden))
    }
}

/// What a client with too many commands under way is asked to wait.
const BUSY_WAIT: Duration = Duration::from_secs(1);
