//! A bus that can be cut, and that can be made to forget to announce.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    AliveSession, Bucket, Bus, BusError, ChallengeKey, ChallengeKind, Challenges, ChannelMessage, Charge, ClaimedJob,
    EndAllSessions, EndAnnouncement, EntryId, Events, Hint, Hints, Jobs, LimitDecision, Limits, Liveness, LogRead,
    OpenSocket, Presence, PublishOutcome, Quota, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens,
    SessionKey, SessionRegistry, SessionRenewal, SessionSeed, SessionState, SessionTtl, Share, UserSubscriptions,
};
use lifecycle::Tasks;
use protocol::answer::Answer;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, JobOutcome, Lane, Reply, Work};
use protocol::cluster::offset::Offset;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::id::{ConnectionId, JobId, NodeId, SessionId, UserId, WorkerId};
use protocol::json::Json;
use protocol::time::Timestamp;
use testkit::wait;
use tokio::sync::{mpsc, watch};

/// A line to a bus.
pub(crate) struct Line {
    bus: Arc<dyn Bus>,
    cut: AtomicBool,
    refused: Mutex<HashSet<&'static str>>,
    holds: Arc<Holds>,
    silent: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    deaf_to_replies: Arc<AtomicBool>,
    asked_limits: AtomicUsize,
    announce: Mutex<Option<mpsc::Sender<ChannelMessage>>>,
    listened: Mutex<Option<Arc<Ear>>>,
    seed: Mutex<SessionSeed>,
    /// What is added to the time that sessions have left, where a gateway asks.
    postponed: Mutex<Duration>,
    /// Sessions that nobody knows have idled out, says whoever is asked.
    idled_out: AtomicBool,
    tasks: Tasks,
}

/// The gateway's ear, watched.
pub(crate) struct Ear {
    feed: Arc<dyn UserSubscriptions>,
    users: Mutex<HashSet<UserId>>,
    holds: Arc<Holds>,
}

/// A step that nobody gets through.
#[derive(Default)]
struct Holds {
    step: watch::Sender<Option<&'static str>>,
    waiting: AtomicUsize,
}

impl Holds {
    async fn pass(&self, step: &'static str) {
        let mut held = self.step.subscribe();
        if *held.borrow_and_update() != Some(step) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(held.wait_for(|held| *held != Some(step)).await);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Line {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            cut: AtomicBool::new(false),
            refused: Mutex::default(),
            holds: Arc::default(),
            silent: Arc::default(),
            lost: Arc::default(),
            deaf_to_replies: Arc::default(),
            asked_limits: AtomicUsize::new(0),
            announce: Mutex::default(),
            listened: Mutex::default(),
            seed: Mutex::new(SessionSeed {
                left: LONG,
                timeout: LONG,
                lead: LONG / 6,
                opened_at: Timestamp::from_millis(1_000),
                newest_token: None,
                announced: None,
            }),
            postponed: Mutex::default(),
            idled_out: AtomicBool::new(false),
            tasks: Tasks::new(),
        }
    }

    /// Everything fails from now on, or no longer.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// These steps fail from now on, and no others.
    pub(crate) fn refuse(&self, steps: &[&'static str]) {
        self.refused.lock().unwrap().extend(steps);
    }

    /// Whoever takes this step waits, until [`Line::let_go`].
    pub(crate) fn hold(&self, step: &'static str) {
        self.holds.step.send_replace(Some(step));
    }

    /// Waits until somebody waits in the step that is held.
    pub(crate) async fn held(&self) {
        let waits = async || self.holds.waiting.load(Ordering::SeqCst) > 0;
        wait::until_true("somebody to be held", wait::deadline(), waits).await;
    }

    /// Lets all go on.
    pub(crate) fn let_go(&self) {
        self.holds.step.send_replace(None);
    }

    /// Events are published and nobody hears of them, or no longer.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// How many announcements were lost while there was silence.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    /// Answers are kept and nobody hears of them.
    pub(crate) fn lose_replies(&self) {
        self.deaf_to_replies.store(true, Ordering::SeqCst);
    }

    /// How often the refilling limits were asked.
    pub(crate) fn asked_limits(&self) -> usize {
        self.asked_limits.load(Ordering::SeqCst)
    }

    /// Tells the gateway that messages may have been missed.
    pub(crate) async fn announce_missed(&self) {
        let announce = self.announce.lock().unwrap().clone().unwrap();
        announce.send(ChannelMessage::Missed).await.unwrap();
    }

    /// Whether the gateway listens for a user.
    pub(crate) fn listens_for(&self, user: &str) -> bool {
        let ear = self.listened.lock().unwrap().clone().unwrap();
        let users = ear.users.lock().unwrap();
        users.contains(&UserId::new(user).unwrap())
    }

    /// Does what a worker does for a session that nobody knows: it is opened, for as long as [`Line::sessions_last`] says.
    async fn open_session(&self, job: &Job) -> Result<(), BusError> {
        let key = SessionKey {
            user: job.user.clone(),
            session: job.session.clone(),
        };
        let outcome = if self.idled_out.load(Ordering::SeqCst) {
            JobOutcome {
                error: Some(ErrorCode::Unauthenticated),
                leading_notice: None,
                secret: false,
                data: Json::of(&()),
            }
        } else {
            let announced = match &job.work {
                Work::OpenSession(asked) => asked.announced,
                _ => None,
            };
            let seed = *self.seed.lock().unwrap();
            self.bus.seed(&key, SessionSeed { announced, ..seed }).await?;
            JobOutcome::from(&Answer::Acknowledged)
        };
        let reply = Reply {
            v: Job::VERSION,
            job: job.id.clone(),
            outcome,
        };
        self.bus.reply(&job.node, &reply).await
    }

    /// Sessions that are opened from now on last so long, and are warned in the middle.
    pub(crate) fn sessions_last(&self, timeout: Duration) {
        *self.seed.lock().unwrap() = SessionSeed {
            left: timeout,
            timeout,
            lead: timeout / 2,
            opened_at: Timestamp::from_millis(1_000),
            newest_token: None,
            announced: None,
        };
    }

    /// Gateways are told an end and a warning that come half an hour late, so that their own timers never fire: what is known of a
    /// session in time is what the bus announces.
    pub(crate) fn postpone_timers(&self) {
        *self.postponed.lock().unwrap() = LONG;
    }

    /// Sessions that nobody knows have idled out from now on.
    pub(crate) fn let_sessions_idle_out(&self) {
        self.idled_out.store(true, Ordering::SeqCst);
    }

    fn postponed(&self, state: SessionState) -> SessionState {
        let by = *self.postponed.lock().unwrap();
        match state {
            SessionState::Alive(alive) => SessionState::Alive(SessionTtl {
                left: alive.left + by,
                // A warning that is due stays so.
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

    fn up(&self, step: &'static str) -> Result<(), BusError> {
        if self.cut.load(Ordering::SeqCst) || self.refused.lock().unwrap().contains(step) {
            let source = "the line is cut".into();
            return Err(BusError::Unavailable { step, source });
        }
        Ok(())
    }
}

impl Liveness for Line {
    fn is_live(&self) -> bool {
        !self.cut.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Events for Line {
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<PublishOutcome, BusError> {
        self.up("publish")?;
        self.bus.publish(user, envelope).await
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        self.up("positions")?;
        self.bus.offsets(users).await
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        self.up("since")?;
        self.bus.read_log(user, after, limit).await
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, mpsc::Receiver<ChannelMessage>), BusError> {
        let (feed, mut heard) = self.bus.listen().await?;
        let (announce, announced) = mpsc::channel(1024);
        *self.announce.lock().unwrap() = Some(announce.clone());
        let (silent, lost) = (Arc::clone(&self.silent), Arc::clone(&self.lost));
        self.tasks.each("announcements", async move {
            while let Some(event) = heard.recv().await {
                if silent.load(Ordering::SeqCst) {
                    lost.fetch_add(1, Ordering::SeqCst);
                } else if announce.send(event).await.is_err() {
                    return;
                }
            }
        });
        let ear = Arc::new(Ear {
            feed,
            users: Mutex::default(),
            holds: Arc::clone(&self.holds),
        });
        *self.listened.lock().unwrap() = Some(Arc::clone(&ear));
        Ok((ear, announced))
    }
}

#[async_trait]
impl UserSubscriptions for Ear {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        self.users.lock().unwrap().insert(user.clone());
        self.holds.pass("subscribe").await;
        self.feed.subscribe(user).await
    }

    fn unsubscribe(&self, user: &UserId) {
        self.users.lock().unwrap().remove(user);
        self.feed.unsubscribe(user);
    }

    fn is_live(&self) -> bool {
        self.feed.is_live()
    }
}

#[async_trait]
impl Jobs for Line {
    async fn submit(&self, lane: Lane, job: &Job, patience: Duration) -> Result<(), BusError> {
        self.up("submit")?;
        if matches!(job.work, Work::OpenSession(_)) {
            return self.open_session(job).await;
        }
        self.bus.submit(lane, job, patience).await
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
        let deaf = Arc::clone(&self.deaf_to_replies);
        self.tasks.each("replies", async move {
            while let Some(reply) = replies.recv().await {
                if !deaf.load(Ordering::SeqCst) && announce.send(reply).await.is_err() {
                    return;
                }
            }
        });
        Ok(announced)
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        self.up("kept replies")?;
        self.bus.stored_replies(node, jobs).await
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        self.bus.delete_replies(node, jobs).await
    }
}

#[async_trait]
impl Limits for Line {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError> {
        self.up("admit")?;
        self.holds.pass("admit").await;
        self.asked_limits.fetch_add(1, Ordering::SeqCst);
        self.bus.admit_all(user, charges).await
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.up("count an attempt")?;
        self.bus.admit_attempt(user, bucket, quota).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError> {
        self.up("count an attempt")?;
        self.bus.admit_shared_attempt(user, bucket, quota, share).await
    }

    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.bus.admit_global_attempt(bucket, quota).await
    }
}

#[async_trait]
impl Challenges for Line {
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        self.bus.put(key, value, ttl).await
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        self.bus.read(key).await
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        self.bus.take(key).await
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        self.bus.read_all(user, kind).await
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        self.bus.delete_all(user, kind).await
    }
}

#[async_trait]
impl SessionRegistry for Line {
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError> {
        self.bus.seed(session, seed).await
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        self.up("poke")?;
        let states = self.bus.check_ttl(sessions).await?;
        Ok(states.into_iter().map(|state| self.postponed(state)).collect())
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        self.up("touch")?;
        let touched = self.bus.renew_session(session).await?;
        Ok(SessionRenewal {
            state: self.postponed(touched.state),
            ..touched
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

    async fn record_token(&self, session: &SessionKey, issued_at: Option<Timestamp>) -> Result<SessionState, BusError> {
        self.up("record a token")?;
        let state = self.bus.record_token(session, issued_at).await?;
        Ok(self.postponed(state))
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
impl Hints for Line {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        self.bus.hint(user, from).await
    }

    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        self.bus.mark_seen(user, from).await
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        self.bus.clear_seen(user).await
    }

    async fn begin_alert_check(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus.begin_alert_check(user, look).await
    }

    async fn mark_no_open_alerts(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus.mark_no_open_alerts(user, look).await
    }

    async fn clear_no_open_alerts(&self, user: &UserId) -> Result<(), BusError> {
        self.bus.clear_no_open_alerts(user).await
    }
}

#[async_trait]
impl Presence for Line {
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        self.up("presence")?;
        self.bus.renew_node(node, lease).await
    }

    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError> {
        self.up("presence")?;
        self.bus.register_socket(user, socket, most).await
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        self.up("presence")?;
        self.bus.unregister_socket(user, node, connection).await
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        self.up("presence")?;
        self.bus.open_sockets(user).await
    }
}

#[async_trait]
impl ResumeTokens for Line {
    async fn issue_token(&self, key: &ResumeTokenKey, ticket: &ResumeToken) -> Result<ResumeLease, BusError> {
        self.up("issue")?;
        self.bus.issue_token(key, ticket).await
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        self.up("redeem")?;
        self.bus.redeem_token(key, session, came).await
    }

    async fn renew_tokens(&self, holds: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        self.up("keep")?;
        self.bus.renew_tokens(holds).await
    }

    async fn revoke_token(&self, hold: &ResumeLease) -> Result<(), BusError> {
        self.up("void")?;
        self.bus.revoke_token(hold).await
    }
}

/// How long sessions last unless a test says otherwise.
const LONG: Duration = Duration::from_secs(30 * 60);
