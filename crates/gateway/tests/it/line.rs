//! A bus that can be cut, and that can be made to forget to announce.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    Alive, AliveSession, Announced, Bucket, Bus, BusError, Challenges, Charge, Claimed, EndOfAll, EntryId, Events,
    Feed, Heard, Hint, Hints, Hold, Jobs, Key, Kind, Limits, Liveness, Past, Presence, Present, Published, Quota,
    Redeemed, Seed, SessionKey, SessionState, Sessions, Share, Ticket, TicketKey, Tickets, Touched, Verdict,
};
use lifecycle::Tasks;
use protocol::answer::Answer;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Lane, Outcome, Reply, Work};
use protocol::cluster::origin::Origin;
use protocol::cluster::position::Position;
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
    announce: Mutex<Option<mpsc::Sender<Heard>>>,
    listened: Mutex<Option<Arc<Ear>>>,
    seed: Mutex<Seed>,
    /// What is added to the time that sessions have left, where a gateway asks.
    postponed: Mutex<Duration>,
    /// Sessions that nobody knows have idled out, says whoever is asked.
    idled_out: AtomicBool,
    tasks: Tasks,
}

/// The gateway's ear, watched.
pub(crate) struct Ear {
    feed: Arc<dyn Feed>,
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
            seed: Mutex::new(Seed {
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
        announce.send(Heard::Missed).await.unwrap();
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
            Outcome {
                error: Some(ErrorCode::Unauthenticated),
                aside: None,
                secret: false,
                data: Json::of(&()),
            }
        } else {
            let announced = match &job.work {
                Work::OpenSession(asked) => asked.announced,
                _ => None,
            };
            let seed = *self.seed.lock().unwrap();
            self.bus.seed(&key, Seed { announced, ..seed }).await?;
            Outcome::from(&Answer::Acknowledged)
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
        *self.seed.lock().unwrap() = Seed {
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
            SessionState::Alive(alive) => SessionState::Alive(Alive {
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
            return Err(BusError::Away { step, source });
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
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<Published, BusError> {
        self.up("publish")?;
        self.bus.publish(user, envelope).await
    }

    async fn positions(&self, users: &[UserId]) -> Result<Vec<Position>, BusError> {
        self.up("positions")?;
        self.bus.positions(users).await
    }

    async fn since(&self, user: &UserId, after: &Position, limit: usize) -> Result<Past, BusError> {
        self.up("since")?;
        self.bus.since(user, after, limit).await
    }

    async fn listen(&self) -> Result<(Arc<dyn Feed>, mpsc::Receiver<Heard>), BusError> {
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
impl Feed for Ear {
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

    async fn claim(&self, lane: Lane, worker: &WorkerId, max: usize, wait: Duration) -> Result<Vec<Claimed>, BusError> {
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

    async fn replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        let mut replies = self.bus.replies(node).await?;
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

    async fn kept_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        self.up("kept replies")?;
        self.bus.kept_replies(node, jobs).await
    }

    async fn forget_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        self.bus.forget_replies(node, jobs).await
    }
}

#[async_trait]
impl Limits for Line {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<Verdict, BusError> {
        self.up("admit")?;
        self.holds.pass("admit").await;
        self.asked_limits.fetch_add(1, Ordering::SeqCst);
        self.bus.admit_all(user, charges).await
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        self.up("count an attempt")?;
        self.bus.admit_attempt(user, bucket, quota).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<Verdict, BusError> {
        self.up("count an attempt")?;
        self.bus.admit_shared_attempt(user, bucket, quota, share).await
    }

    async fn admit_attempt_of_anyone(&self, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        self.bus.admit_attempt_of_anyone(bucket, quota).await
    }
}

#[async_trait]
impl Challenges for Line {
    async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        self.bus.put(key, value, ttl).await
    }

    async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        self.bus.read(key).await
    }

    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        self.bus.take(key).await
    }

    async fn read_all(&self, user: &UserId, kind: Kind) -> Result<Vec<Vec<u8>>, BusError> {
        self.bus.read_all(user, kind).await
    }

    async fn delete_all(&self, user: &UserId, kind: Kind) -> Result<(), BusError> {
        self.bus.delete_all(user, kind).await
    }
}

#[async_trait]
impl Sessions for Line {
    async fn seed(&self, session: &SessionKey, seed: Seed) -> Result<SessionState, BusError> {
        self.bus.seed(session, seed).await
    }

    async fn poke(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        self.up("poke")?;
        let states = self.bus.poke(sessions).await?;
        Ok(states.into_iter().map(|state| self.postponed(state)).collect())
    }

    async fn touch(&self, session: &SessionKey) -> Result<Touched, BusError> {
        self.up("touch")?;
        let touched = self.bus.touch(session).await?;
        Ok(Touched {
            state: self.postponed(touched.state),
            ..touched
        })
    }

    async fn retime(&self, session: &SessionKey, timeout: Duration, lead: Duration) -> Result<SessionState, BusError> {
        self.bus.retime(session, timeout, lead).await
    }

    async fn record_token(&self, session: &SessionKey, issued_at: Option<Timestamp>) -> Result<SessionState, BusError> {
        self.up("record a token")?;
        let state = self.bus.record_token(session, issued_at).await?;
        Ok(self.postponed(state))
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        self.bus.alive_sessions(user).await
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<Announced>, BusError> {
        self.bus.announce_end(sessions).await
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError> {
        self.bus.end(session, ended_at, keep).await
    }

    async fn end_all(&self, user: &UserId, end: &EndOfAll, keep: Duration) -> Result<(), BusError> {
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

    async fn note_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        self.bus.note_seen(user, from).await
    }

    async fn forget_seen(&self, user: &UserId) -> Result<(), BusError> {
        self.bus.forget_seen(user).await
    }

    async fn begin_look(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus.begin_look(user, look).await
    }

    async fn note_none_open(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus.note_none_open(user, look).await
    }

    async fn forget_none_open(&self, user: &UserId) -> Result<(), BusError> {
        self.bus.forget_none_open(user).await
    }
}

#[async_trait]
impl Presence for Line {
    async fn lease(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        self.up("presence")?;
        self.bus.lease(node, lease).await
    }

    async fn enter(&self, user: &UserId, socket: &Present, most: usize) -> Result<Vec<Present>, BusError> {
        self.up("presence")?;
        self.bus.enter(user, socket, most).await
    }

    async fn leave(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        self.up("presence")?;
        self.bus.leave(user, node, connection).await
    }

    async fn present(&self, user: &UserId) -> Result<Vec<Present>, BusError> {
        self.up("presence")?;
        self.bus.present(user).await
    }
}

#[async_trait]
impl Tickets for Line {
    async fn issue(&self, key: &TicketKey, ticket: &Ticket) -> Result<Hold, BusError> {
        self.up("issue")?;
        self.bus.issue(key, ticket).await
    }

    async fn redeem(
        &self,
        key: &TicketKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        self.up("redeem")?;
        self.bus.redeem(key, session, came).await
    }

    async fn keep(&self, holds: &[Hold]) -> Result<Vec<bool>, BusError> {
        self.up("keep")?;
        self.bus.keep(holds).await
    }

    async fn void(&self, hold: &Hold) -> Result<(), BusError> {
        self.up("void")?;
        self.bus.void(hold).await
    }
}

/// How long sessions last unless a test says otherwise.
const LONG: Duration = Duration::from_secs(30 * 60);
