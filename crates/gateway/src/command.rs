//! Commands of clients on their way to a worker, and the answers on their way back: every request gets one answer, by its deadline.

mod admit;
mod answer;
mod pending;
mod refusals;
mod replies;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use bus::{Jobs, Limits};
use lifecycle::Tasks;
use protocol::answer::Failure;
use protocol::cluster::job::{Job, JobOutcome, Reply, Work};
use protocol::code::ErrorCode;
use protocol::command::{Answer, Command, CommandKind, Executor, ExtendSessionAnswer, SessionStep, idempotency_key};
use protocol::fault::Fault;
use protocol::id::JobId;
use protocol::trace::TraceParent;
use protocol::wire::{Request, RequestId};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use self::answer::Outline;
use self::pending::{PendingRequest, PendingRequests};
use self::refusals::Refusals;
use crate::bus_outage::BusOutage;
use crate::handshake::authenticator::{Authenticator, TokenPurpose};
use crate::handshake::token::Identity;
use crate::metrics::{CommandStage, Metrics};
use crate::session::SessionMonitor;
use crate::settings::{ClientContext, Rate, Timing};
use crate::socket::Caller;
use crate::trace;
use crate::workers::{Requester, WorkerClient};

pub(crate) use self::admit::{command_limit, per_minute, rate_limited};

/// Commands of all sockets of this gateway.
pub(crate) struct Commands {
    jobs: Arc<dyn Jobs>,
    limits: Arc<dyn Limits>,
    outage: Arc<BusOutage>,
    sessions: Arc<SessionMonitor>,
    workers: Arc<WorkerClient>,
    timing: Timing,
    rate: Option<Rate>,
    pending: PendingRequests,
    refusals: Refusals,
    client_context: ClientContext,
    tasks: Tasks,
    metrics: Arc<Metrics>,
}

impl Commands {
    /// Creates the command service; `rate` is the rate of a user's budgets, `tasks` own the pending commands.
    pub(crate) fn new(
        (jobs, limits, outage): (Arc<dyn Jobs>, Arc<dyn Limits>, Arc<BusOutage>),
        (sessions, workers): (Arc<SessionMonitor>, Arc<WorkerClient>),
        (timing, rate, client_context): (Timing, Option<Rate>, ClientContext),
        tasks: Tasks,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            jobs,
            limits,
            outage,
            sessions,
            workers,
            timing,
            rate,
            pending: PendingRequests::default(),
            refusals: Refusals::default(),
            client_context,
            tasks,
            metrics,
        }
    }

    /// Takes a request. Its answer is queued for the caller, now or later.
    pub(crate) fn take(self: &Arc<Self>, caller: &Arc<Caller>, request: Request) {
        let Some(kind) = CommandKind::of_event(&request.event) else {
            let failure = Failure::of(ErrorCode::UnknownEvent);
            self.refuse(caller, Some(request.event), &failure, request.id.as_ref());
            return;
        };
        let (span, traceparent) = self.client_context.command(kind, &request.data);
        let outline = Outline::traced(kind, &request.data, span.clone());
        let job = self.job(caller, kind, request.data, traceparent).and_then(|job| {
            self.open(caller, &job.id, outline.clone(), request.id.clone())?;
            Ok(job)
        });
        match job {
            Ok(job) => self.spawn_submission(Arc::clone(caller), job, span),
            Err(failure) => {
                // A command that renews the session itself counts as activity when it is refused, too.
                self.sessions.activity(caller);
                self.answer_failed(caller, &outline, &failure, request.id.as_ref(), Duration::ZERO);
            }
        }
    }

    /// Takes `auth:refresh`: another token of the same user and session. True if it has replaced the current one.
    pub(crate) async fn refresh(&self, caller: &Caller, request: Request, authenticator: &Authenticator) -> bool {
        let Request { data, id, .. } = request;
        let opened = Instant::now();
        let (span, _no_job) = self.client_context.command(CommandKind::Refresh, &data);
        let outline = Outline::traced(CommandKind::Refresh, &data, span.clone());
        let renewal = async {
            let identity = renewed(caller, data, authenticator).await?;
            let refreshed = self.sessions.renew_token(caller, (&identity).into()).await?;
            Ok::<_, Failure>((identity, refreshed))
        };
        match renewal.instrument(span).await {
            Ok((identity, refreshed)) => {
                caller.renew_token(&identity);
                self.metrics.answered(CommandKind::Refresh, None, opened.elapsed());
                let data = Answer::Refresh(refreshed).data();
                answer::with_event(caller, CommandKind::Refresh, &data, id.as_ref());
                true
            }
            Err(failure) => {
                self.answer_failed(caller, &outline, &failure, id.as_ref(), opened.elapsed());
                false
            }
        }
    }

    /// Answers a request that exceeds the rate of its socket.
    pub(crate) fn reject_excess(&self, caller: &Caller, request: &Request, wait: Duration) {
        let failure = rate_limited(wait);
        match CommandKind::of_event(&request.event) {
            Some(kind) => {
                let outline = Outline::of(kind, &request.data);
                self.answer_failed(caller, &outline, &failure, request.id.as_ref(), Duration::ZERO);
            }
            None => self.refuse(caller, Some(request.event.clone()), &failure, request.id.as_ref()),
        }
    }

    /// Answers a frame without an event name.
    pub(crate) fn refuse_nameless(&self, caller: &Caller, id: Option<&RequestId>, retry_after: Option<Duration>) {
        let nameless = || Failure::with_message(ErrorCode::BadRequest, "event: a name is required");
        self.refuse(caller, None, &retry_after.map_or_else(nameless, rate_limited), id);
    }

    /// Answers a request that has no response event.
    pub(crate) fn refuse(&self, caller: &Caller, event: Option<String>, failure: &Failure, id: Option<&RequestId>) {
        self.metrics.refused_request(failure.error);
        answer::without_event(caller, event, failure, id);
    }

    /// Validates a command and builds its job, without I/O.
    fn job(
        &self,
        caller: &Caller,
        kind: CommandKind,
        data: Value,
        traceparent: Option<TraceParent>,
    ) -> Result<Job, Failure> {
        let idempotency_key = idempotency_key(&data).map_err(|invalid| admit::invalid(&invalid))?;
        let command = Command::parse(kind, data).map_err(|invalid| admit::invalid(&invalid))?;
        admit::own_user(caller, &command)?;
        let requester = Requester {
            traceparent,
            idempotency_key,
            ..caller.requester()
        };
        Ok(self.workers.job(requester, Work::Command(command)))
    }

    /// Registers a pending request, which is answered by its deadline.
    fn open(
        &self,
        caller: &Arc<Caller>,
        job: &JobId,
        outline: Outline,
        request: Option<RequestId>,
    ) -> Result<(), Failure> {
        let permit = caller.pending_permit().ok_or_else(|| rate_limited(BUSY_WAIT))?;
        let now = Instant::now();
        let pending = PendingRequest {
            caller: Arc::clone(caller),
            request,
            opened: now,
            enqueued: None,
            deadline: now + self.deadline(outline.kind()),
            outline,
            _permit: permit,
        };
        self.pending.insert(job.clone(), pending);
        Ok(())
    }

    fn spawn_submission(self: &Arc<Self>, caller: Arc<Caller>, mut job: Job, span: Span) {
        let commands = Arc::clone(self);
        let submission = async move {
            if let Err(failure) = commands.submit(&caller, &mut job).await {
                commands.fail(&job.id, &failure);
            }
        };
        self.tasks.each("command", submission.instrument(span));
    }

    /// Admits the command, and has it executed.
    async fn submit(&self, caller: &Caller, job: &mut Job) -> Result<(), Failure> {
        let Work::Command(command) = &job.work else {
            return Err(Failure::of(ErrorCode::Internal));
        };
        let kind = command.kind();
        let admission = trace::step(trace::admission(), self.admit(caller, command));
        let renewed = self.timed(kind, CommandStage::Admit, admission).await?;
        match (kind.policy().executor, renewed) {
            (Executor::Gateway, Some(renewed)) => {
                self.complete(&Reply {
                    v: Job::VERSION,
                    job: job.id.clone(),
                    outcome: JobOutcome::from(&Answer::ExtendSession(renewed)),
                });
                Ok(())
            }
            (Executor::Worker, _) => {
                let submission = self.workers.submit(job, self.deadline(kind));
                let submitted = self.timed(kind, CommandStage::Enqueue, submission).await;
                submitted.map_err(|error| Failure::of(error.code()))?;
                self.pending.mark_enqueued(&job.id, Instant::now());
                Ok(())
            }
            (Executor::Gateway, None) | (Executor::Connection, _) => Err(Failure::of(ErrorCode::Internal)),
        }
    }

    /// Takes the session step of the command's policy, and charges the limits. Returns the renewal of the session, if that is the step.
    async fn admit(&self, caller: &Caller, command: &Command) -> Result<Option<ExtendSessionAnswer>, Failure> {
        let policy = command.kind().policy();
        let renewed = match policy.session {
            SessionStep::Check => self.sessions.admit(caller).await.map(|()| None)?,
            SessionStep::Renew if policy.executor == Executor::Gateway => Some(self.sessions.extend(caller).await?),
            SessionStep::Renew => self.sessions.renew_at_once(caller).await.map(|_| None)?,
            // Taken by `refresh`.
            SessionStep::ReplaceToken => return Err(Failure::of(ErrorCode::Internal)),
        };
        let charged = admit::charge(&*self.limits, self.rate, caller, command).await;
        admit::within_limits(self.outage.record("rate limit check", charged))?;
        // The session may have ended meanwhile.
        if caller.has_session_ended() {
            return Err(Failure::of(ErrorCode::Forbidden));
        }
        Ok(renewed)
    }

    /// Time within which a command is answered.
    fn deadline(&self, kind: CommandKind) -> Duration {
        kind.policy().deadline.min(self.timing.job_timeout(kind.lane()))
    }

    /// Completes the request of a worker's reply.
    fn complete(&self, reply: &Reply) {
        if self.workers.complete(reply) {
            return;
        }
        // A reply may arrive twice, or after the deadline.
        let Some(pending) = self.pending.remove(&reply.job) else {
            return;
        };
        self.record_wait(&pending);
        let span = pending.outline.span();
        span.in_scope(|| self.answer(&pending, &reply.outcome));
        if let Some(error) = reply.outcome.error {
            trace::record_error(span, error);
        }
    }

    /// Answers a request with the outcome of its job.
    fn answer(&self, pending: &PendingRequest, outcome: &JobOutcome) {
        let _answering = trace::answer().entered();
        let kind = pending.outline.kind();
        self.metrics.answered(kind, outcome.error, pending.opened.elapsed());
        if let Some(error) = outcome.error {
            self.count_refusal(&pending.caller, kind, error);
        }
        if let Some(leading_notice) = &outcome.leading_notice {
            answer::leading_notice(&pending.caller, leading_notice);
        }
        answer::with_event(&pending.caller, kind, &outcome.data, pending.request.as_ref());
    }

    /// Completes a pending request with a failure.
    fn fail(&self, id: &JobId, failure: &Failure) {
        if let Some(pending) = self.pending.remove(id) {
            self.record_unanswered_wait(&pending);
            let after = pending.opened.elapsed();
            self.answer_failed(
                &pending.caller,
                &pending.outline,
                failure,
                pending.request.as_ref(),
                after,
            );
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
        outline.span().in_scope(|| {
            let _answering = trace::answer().entered();
            answer::with_event(caller, outline.kind(), &outline.fill(failure).data(), request);
        });
        trace::record_error(outline.span(), failure.error);
    }

    /// Counts a refusal, of this gateway or of a worker, for the audit log of the caller.
    fn count_refusal(&self, caller: &Caller, kind: CommandKind, error: ErrorCode) {
        if !self.refusals.count(caller, kind, error) {
            self.metrics.refusal_uncounted();
        }
    }
}

/// Identity of the token of an `auth:refresh`, which must be that of the caller and its session.
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

/// Retry delay of a client with too many pending commands.
const BUSY_WAIT: Duration = Duration::from_secs(1);
