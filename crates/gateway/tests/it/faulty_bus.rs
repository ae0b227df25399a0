//! Bus with injected faults: outages, failing steps, blocked steps, lost announcements.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    AliveSession, Bucket, Bus, BusError, ChannelMessage, ChannelMessages, Charge, ClaimedJob, EndAllSessions,
    EndAnnouncement, EntryId, Events, Jobs, JoinOutcome, Joins, LimitDecision, Limits, Liveness, LogRead, MessageQueue,
    OpenSocket, Presence, PublishMode, PublishOutcome, Quota, RecordedSignIn, Redeemed, ResumeLease, ResumeToken,
    ResumeTokenKey, ResumeTokens, SessionKey, SessionRegistry, SessionRenewal, SessionSeed, SessionState, SessionTtl,
    Share, SocketJoin, TokenTimes, UserSubscriptions,
};
use gateway::BusRoles;
use lifecycle::Tasks;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, JobOutcome, Lane, Reply, Work};
use protocol::cluster::offset::{Epoch, Offset};
use protocol::code::ErrorCode;
use protocol::id::{ConnectionId, EventId, JobId, NodeId, SessionId, UserId, WorkerId};
use protocol::json::Json;
use protocol::time::Timestamp;
use testkit::wait;
use tokio::sync::{mpsc, watch};

/// Bus wrapper that injects faults.
pub(crate) struct FaultyBus {
    bus: Arc<dyn Bus>,
    cut: AtomicBool,
    /// True if no lane is served.
    without_workers: AtomicBool,
    failing_steps: Mutex<HashSet<&'static str>>,
    gate: Arc<StepGate>,
    drops_announcements: Arc<AtomicBool>,
    dropped_announcements: Arc<AtomicUsize>,
    drops_replies: Arc<AtomicBool>,
    limit_calls: AtomicUsize,
    announce: Mutex<Option<MessageQueue>>,
    subscriptions: Mutex<Option<Arc<WatchedSubscriptions>>>,
    seed: Mutex<SessionSeed>,
    /// Added to the remaining time of sessions in responses to the gateway.
    timer_delay: Mutex<Duration>,
    /// True if unknown sessions are reported as expired by idling instead of being opened.
    unknown_sessions_expired: AtomicBool,
    tasks: Tasks,
}

/// Subscriptions of the gateway, recorded.
pub(crate) struct WatchedSubscriptions {
    inner: Arc<dyn UserSubscriptions>,
    users: Mutex<HashSet<UserId>>,
    gate: Arc<StepGate>,
}

/// Gate that blocks one step.
#[derive(Default)]
struct StepGate {
    step: watch::Sender<Option<&'static str>>,
    blocked: AtomicUsize,
}

impl StepGate {
    async fn pass(&self, step: &'static str) {
        let mut blocked_step = self.step.subscribe();
        if *blocked_step.borrow_and_update() != Some(step) {
            return;
        }
        self.blocked.fetch_add(1, Ordering::SeqCst);
        drop(blocked_step.wait_for(|blocked| *blocked != Some(step)).await);
        self.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FaultyBus {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            cut: AtomicBool::new(false),
            without_workers: AtomicBool::new(false),
            failing_steps: Mutex::default(),
            gate: Arc::default(),
            drops_announcements: Arc::default(),
            dropped_announcements: Arc::default(),
            drops_replies: Arc::default(),
            limit_calls: AtomicUsize::new(0),
            announce: Mutex::default(),
            subscriptions: Mutex::default(),
            seed: Mutex::new(SessionSeed {
                left: LONG,
                timeout: LONG,
                lead: LONG / 6,
                opened_at: Timestamp::from_millis(1_000),
                tokens: TokenTimes::UNKNOWN,
                announced: None,
            }),
            timer_delay: Mutex::default(),
            unknown_sessions_expired: AtomicBool::new(false),
            tasks: Tasks::new(),
        }
    }

    /// Bus without faults.
    pub(crate) fn inner(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Roles for a gateway: all that faults are injected into, and the others of the bus itself.
    pub(crate) fn roles(self: &Arc<Self>) -> BusRoles {
        BusRoles {
            events: Arc::clone(self) as _,
            jobs: Arc::clone(self) as _,
            joins: Arc::clone(self) as _,
            limits: Arc::clone(self) as _,
            liveness: Arc::clone(self) as _,
            presence: Arc::clone(self) as _,
            resume_tokens: Arc::clone(self) as _,
            sessions: Arc::clone(self) as _,
            ..BusRoles::from(Arc::clone(&self.bus))
        }
    }

    /// Starts or ends an outage: all steps fail.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// Reports all lanes as unserved, or no longer.
    pub(crate) fn withdraw_workers(&self, withdrawn: bool) {
        self.without_workers.store(withdrawn, Ordering::SeqCst);
    }

    /// Makes these steps fail.
    pub(crate) fn fail_steps(&self, steps: &[&'static str]) {
        self.failing_steps.lock().unwrap().extend(steps);
    }

    /// Blocks callers of this step until [`FaultyBus::unblock`].
    pub(crate) fn block(&self, step: &'static str) {
        self.gate.step.send_replace(Some(step));
    }

    /// Waits until a caller is blocked.
    pub(crate) async fn wait_blocked(&self) {
        let blocked = async || self.gate.blocked.load(Ordering::SeqCst) > 0;
        wait::until_true("a caller to be blocked", wait::deadline(), blocked).await;
    }

    /// Unblocks all callers.
    pub(crate) fn unblock(&self) {
        self.gate.step.send_replace(None);
    }

    /// Starts or stops dropping the announcements of published events.
    pub(crate) fn drop_announcements(&self, drops: bool) {
        self.drops_announcements.store(drops, Ordering::SeqCst);
    }

    /// Number of dropped announcements.
    pub(crate) fn dropped_announcements(&self) -> usize {
        self.dropped_announcements.load(Ordering::SeqCst)
    }

    /// Drops the announcements of replies, which are stored all the same.
    pub(crate) fn drop_replies(&self) {
        self.drops_replies.store(true, Ordering::SeqCst);
    }

    /// Number of calls that charged rate limits.
    pub(crate) fn limit_calls(&self) -> usize {
        self.limit_calls.load(Ordering::SeqCst)
    }

    /// Reports to the gateway that messages may have been missed.
    pub(crate) fn report_missed(&self) {
        let announce = self.announce.lock().unwrap().clone().unwrap();
        announce.push(ChannelMessage::Missed);
    }

    /// Reports whether the gateway is subscribed to the channel of a user.
    pub(crate) fn is_subscribed(&self, user: &str) -> bool {
        let subscriptions = self.subscriptions.lock().unwrap().clone().unwrap();
        let users = subscriptions.users.lock().unwrap();
        users.contains(&UserId::new(user).unwrap())
    }

    /// Opens an unknown session as a worker does, with the timeout of [`FaultyBus::set_session_timeout`].
    async fn open_session(&self, job: &Job) -> Result<(), BusError> {
        let key = SessionKey {
            user: job.user.clone(),
            session: job.session.clone(),
        };
        let outcome = if self.unknown_sessions_expired.load(Ordering::SeqCst) {
            JobOutcome {
                error: Some(ErrorCode::Unauthenticated),
                leading_notice: None,
                secret: false,
                data: Json::of(&()),
            }
        } else {
            let announced = match &job.work {
                Work::OpenSession(open) => open.announced,
                _ => None,
            };
            let seed = *self.seed.lock().unwrap();
            self.bus.seed(&key, SessionSeed { announced, ..seed }).await?;
            JobOutcome::done()
        };
        let reply = Reply {
            v: Job::VERSION,
            job: job.id.clone(),
            outcome,
        };
        self.bus.reply(&job.node, &reply).await
    }

    /// Sets the timeout of sessions opened from now on. The warning is due at half of it.
    pub(crate) fn set_session_timeout(&self, timeout: Duration) {
        *self.seed.lock().unwrap() = SessionSeed {
            left: timeout,
            timeout,
            lead: timeout / 2,
            opened_at: Timestamp::from_millis(1_000),
            tokens: TokenTimes::UNKNOWN,
            announced: None,
        };
    }

    /// Reports session ends and warnings to the gateway half an hour late, so that its timers never fire and only announcements of the
    /// bus take effect.
    pub(crate) fn postpone_timers(&self) {
        *self.timer_delay.lock().unwrap() = LONG;
    }

    /// Reports unknown sessions as expired by idling from now on.
    pub(crate) fn expire_unknown_sessions(&self) {
        self.unknown_sessions_expired.store(true, Ordering::SeqCst);
    }

    fn delayed(&self, state: SessionState) -> SessionState {
        let by = *self.timer_delay.lock().unwrap();
        match state {
            SessionState::Alive(alive) => SessionState::Alive(SessionTtl {
                left: alive.left + by,
                // A warning that is already due is not delayed.
                warns_in: if alive.warns_in.is_zero() {
                    alive.warns_in
                } else {
                    alive.warns_in + by
                },
                ..alive
            }),
            other => other,
        }
    }

    fn check(&self, step: &'static str) -> Result<(), BusError> {
        if self.cut.load(Ordering::SeqCst) || self.failing_steps.lock().unwrap().contains(step) {
            let source = "injected fault".into();
            return Err(BusError::Unavailable { step, source });
        }
        Ok(())
    }
}

impl Liveness for FaultyBus {
    fn is_live(&self) -> bool {
        !self.cut.load(Ordering::SeqCst)
    }

    fn server_time(&self) -> Timestamp {
        self.bus.server_time()
    }
}

#[async_trait]
impl Events for FaultyBus {
    async fn publish_with(
        &self,
        user: &UserId,
        envelope: &Envelope,
        mode: PublishMode<'_>,
    ) -> Result<PublishOutcome, BusError> {
        self.check("publish")?;
        self.bus.publish_with(user, envelope, mode).await
    }

    async fn is_compared(&self, user: &UserId, id: &EventId) -> Result<bool, BusError> {
        self.check("is_compared")?;
        self.bus.is_compared(user, id).await
    }

    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, BusError> {
        self.check("unrestored_epoch")?;
        self.bus.unrestored_epoch(user).await
    }

    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, BusError> {
        self.check("mark_restored")?;
        self.bus.mark_restored(user, epoch).await
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        self.check("offsets")?;
        self.bus.offsets(users).await
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        self.check("read_log")?;
        self.bus.read_log(user, after, limit).await
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, ChannelMessages), BusError> {
        let (inner, mut messages) = self.bus.listen().await?;
        let (announce, announced) = MessageQueue::new(MessageQueue::CAPACITY);
        *self.announce.lock().unwrap() = Some(announce.clone());
        let (drops, dropped) = (
            Arc::clone(&self.drops_announcements),
            Arc::clone(&self.dropped_announcements),
        );
        self.tasks.each("announcements", async move {
            while let Some(event) = messages.recv().await {
                if drops.load(Ordering::SeqCst) {
                    dropped.fetch_add(1, Ordering::SeqCst);
                } else if announce.is_closed() {
                    return;
                } else {
                    announce.push(event);
                }
            }
        });
        let subscriptions = Arc::new(WatchedSubscriptions {
            inner,
            users: Mutex::default(),
            gate: Arc::clone(&self.gate),
        });
        *self.subscriptions.lock().unwrap() = Some(Arc::clone(&subscriptions));
        Ok((subscriptions, announced))
    }
}

#[async_trait]
impl UserSubscriptions for WatchedSubscriptions {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        self.users.lock().unwrap().insert(user.clone());
        self.gate.pass("subscribe").await;
        self.inner.subscribe(user).await
    }

    fn unsubscribe(&self, user: &UserId) {
        self.users.lock().unwrap().remove(user);
        self.inner.unsubscribe(user);
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }
}

#[async_trait]
impl Jobs for FaultyBus {
    async fn submit(&self, lane: Lane, job: &Job, job_timeout: Duration) -> Result<(), BusError> {
        self.check("submit")?;
        if self.without_workers.load(Ordering::SeqCst) {
            return Err(BusError::Unserved(lane.as_str()));
        }
        if matches!(job.work, Work::OpenSession(_)) {
            return self.open_session(job).await;
        }
        self.bus.submit(lane, job, job_timeout).await
    }

    async fn claim(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        self.bus.claim(lane, worker, max, wait).await
    }

    async fn is_served(&self, lane: Lane) -> Result<bool, BusError> {
        self.check("is_served")?;
        Ok(!self.without_workers.load(Ordering::SeqCst) && self.bus.is_served(lane).await?)
    }

    async fn mark_served(&self, lane: Lane) -> Result<(), BusError> {
        self.bus.mark_served(lane).await
    }

    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError> {
        self.bus.renew(lane, worker, entries).await
    }

    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError> {
        self.bus.finish(lane, entry).await
    }

    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError> {
        self.bus.reply(node, reply).await
    }

    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        let mut replies = self.bus.subscribe_replies(node).await?;
        let (announce, announced) = mpsc::channel(1024);
        let drops = Arc::clone(&self.drops_replies);
        self.tasks.each("replies", async move {
            while let Some(reply) = replies.recv().await {
                if !drops.load(Ordering::SeqCst) && announce.send(reply).await.is_err() {
                    return;
                }
            }
        });
        Ok(announced)
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        self.check("stored_replies")?;
        self.bus.stored_replies(node, jobs).await
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        self.bus.delete_replies(node, jobs).await
    }
}

#[async_trait]
impl Joins for FaultyBus {
    async fn join(&self, join: &SocketJoin) -> Result<JoinOutcome, BusError> {
        self.check("join")?;
        let mut outcome = self.bus.join(join).await?;
        if let JoinOutcome::Joined(joined) = &mut outcome {
            if let SessionState::Alive(session) = self.delayed(SessionState::Alive(joined.session)) {
                joined.session = session;
            }
            self.gate.pass("joined").await;
        }
        Ok(outcome)
    }
}

#[async_trait]
impl Limits for FaultyBus {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError> {
        self.check("admit")?;
        self.gate.pass("admit").await;
        self.limit_calls.fetch_add(1, Ordering::SeqCst);
        self.bus.admit_all(user, charges).await
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.check("admit_attempt")?;
        self.bus.admit_attempt(user, bucket, quota).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError> {
        self.check("admit_attempt")?;
        self.bus.admit_shared_attempt(user, bucket, quota, share).await
    }

    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.bus.admit_global_attempt(bucket, quota).await
    }
}

#[async_trait]
impl SessionRegistry for FaultyBus {
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError> {
        self.bus.seed(session, seed).await
    }

    async fn seed_signed_in(
        &self,
        session: &SessionKey,
        seed: SessionSeed,
        sign_in: &RecordedSignIn<'_>,
    ) -> Result<SessionState, BusError> {
        self.bus.seed_signed_in(session, seed, sign_in).await
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        self.check("check_ttl")?;
        let states = self.bus.check_ttl(sessions).await?;
        Ok(states.into_iter().map(|state| self.delayed(state)).collect())
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        self.check("renew_session")?;
        let renewal = self.bus.renew_session(session).await?;
        Ok(SessionRenewal {
            state: self.delayed(renewal.state),
            ..renewal
        })
    }

    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError> {
        self.bus.set_timeout(session, timeout, lead).await
    }

    async fn record_token(&self, session: &SessionKey, token: TokenTimes) -> Result<SessionState, BusError> {
        self.check("record_token")?;
        let state = self.bus.record_token(session, token).await?;
        Ok(self.delayed(state))
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        self.bus.alive_sessions(user).await
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError> {
        self.bus.announce_end(sessions).await
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError> {
        self.bus.end(session, ended_at, keep).await
    }

    async fn end_all(&self, user: &UserId, end: &EndAllSessions, keep: Duration) -> Result<(), BusError> {
        self.bus.end_all(user, end, keep).await
    }

    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        self.bus.expiries()
    }
}

#[async_trait]
impl Presence for FaultyBus {
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        self.check("presence")?;
        self.bus.renew_node(node, lease).await
    }

    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError> {
        self.check("presence")?;
        self.bus.register_socket(user, socket, most).await
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        self.check("presence")?;
        self.bus.unregister_socket(user, node, connection).await
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        self.check("presence")?;
        self.bus.open_sockets(user).await
    }
}

#[async_trait]
impl ResumeTokens for FaultyBus {
    async fn issue_token(
        &self,
        key: &ResumeTokenKey,
        token: &ResumeToken,
        most: usize,
    ) -> Result<ResumeLease, BusError> {
        self.check("issue_token")?;
        self.bus.issue_token(key, token, most).await
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        connected_at: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        self.check("redeem_token")?;
        self.bus.redeem_token(key, session, connected_at).await
    }

    async fn renew_tokens(&self, leases: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        self.check("renew_tokens")?;
        self.bus.renew_tokens(leases).await
    }

    async fn revoke_token(&self, lease: &ResumeLease) -> Result<(), BusError> {
        self.check("revoke_token")?;
        self.bus.revoke_token(lease).await
    }
}

/// Default timeout of sessions.
const LONG: Duration = Duration::from_secs(30 * 60);
