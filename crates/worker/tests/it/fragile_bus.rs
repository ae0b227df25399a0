//! The embedded bus, whose publishing and answering can be made to fail.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    AliveSession, Announced, Bucket, BusError, Challenges, Charge, Claimed, EndOfAll, EntryId, Events, Feed, Heard,
    Hint, Hints, Hold, Jobs, Key, Kind, Limits, Liveness, MemoryBus, Past, Presence, Present, Published, Quota,
    Redeemed, Seed, SessionKey, SessionState, Sessions, Share, Ticket, TicketKey, Tickets, Touched, Verdict,
};
use lifecycle::OsEntropy;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::cluster::origin::Origin;
use protocol::cluster::position::Position;
use protocol::id::{ConnectionId, JobId, NodeId, SessionId, UserId, WorkerId};
use protocol::time::Timestamp;
use tokio::sync::mpsc;

/// Works like the bus within, unless told otherwise.
#[derive(Debug)]
pub(crate) struct FragileBus {
    bus: Mutex<MemoryBus>,
    pub(crate) refuses_events: AtomicBool,
    pub(crate) refuses_claims: AtomicBool,
    /// No challenge is taken.
    pub(crate) refuses_takes: AtomicBool,
    /// No committed end of a session is taken.
    pub(crate) refuses_ends: AtomicBool,
    /// No attempt is counted: the bus is away.
    pub(crate) refuses_attempts: AtomicBool,
    /// Every attempt that several share is let through: as many as a test wants, in no time.
    pub(crate) counts_no_attempts: AtomicBool,
    /// How often a challenge was looked for.
    pub(crate) challenge_reads: AtomicU64,
    /// So many answers are not taken.
    pub(crate) refused_answers: AtomicU64,
}

impl FragileBus {
    pub(crate) fn new() -> Self {
        Self {
            bus: Mutex::new(MemoryBus::new(Arc::new(OsEntropy))),
            refuses_events: AtomicBool::new(false),
            refuses_claims: AtomicBool::new(false),
            refuses_takes: AtomicBool::new(false),
            refuses_ends: AtomicBool::new(false),
            refuses_attempts: AtomicBool::new(false),
            counts_no_attempts: AtomicBool::new(false),
            challenge_reads: AtomicU64::new(0),
            refused_answers: AtomicU64::new(0),
        }
    }

    /// Begins anew, as Redis does after a restart without a disk. Who listens has to listen again.
    pub(crate) fn forget(&self) {
        *self.bus.lock().unwrap() = MemoryBus::new(Arc::new(OsEntropy));
    }

    fn up_for_ends(&self, step: &'static str) -> Result<(), BusError> {
        if self.refuses_ends.load(Ordering::SeqCst) {
            return Err(away(step));
        }
        Ok(())
    }

    fn bus(&self) -> MemoryBus {
        self.bus.lock().unwrap().clone()
    }
}

fn away(step: &'static str) -> BusError {
    BusError::Away {
        step,
        source: "the test said so".into(),
    }
}

#[async_trait]
impl Events for FragileBus {
    async fn publish(&self, user: &UserId, envelope: &Envelope) -> Result<Published, BusError> {
        if self.refuses_events.load(Ordering::SeqCst) {
            return Err(away("publish an event"));
        }
        self.bus().publish(user, envelope).await
    }

    async fn positions(&self, users: &[UserId]) -> Result<Vec<Position>, BusError> {
        self.bus().positions(users).await
    }

    async fn since(&self, user: &UserId, after: &Position, limit: usize) -> Result<Past, BusError> {
        self.bus().since(user, after, limit).await
    }

    async fn listen(&self) -> Result<(Arc<dyn Feed>, mpsc::Receiver<Heard>), BusError> {
        self.bus().listen().await
    }
}

#[async_trait]
impl Jobs for FragileBus {
    async fn submit(&self, lane: Lane, job: &Job, patience: Duration) -> Result<(), BusError> {
        self.bus().submit(lane, job, patience).await
    }

    async fn claim(&self, lane: Lane, worker: &WorkerId, max: usize, wait: Duration) -> Result<Vec<Claimed>, BusError> {
        if self.refuses_claims.load(Ordering::SeqCst) {
            return Err(away("claim jobs"));
        }
        self.bus().claim(lane, worker, max, wait).await
    }

    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError> {
        self.bus().renew(lane, worker, entries).await
    }

    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError> {
        self.bus().finish(lane, entry).await
    }

    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError> {
        let one_less = |left: u64| left.checked_sub(1);
        let refused = self
            .refused_answers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if refused.is_ok() {
            return Err(away("send an answer"));
        }
        self.bus().reply(node, reply).await
    }

    async fn replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        self.bus().replies(node).await
    }

    async fn kept_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        self.bus().kept_replies(node, jobs).await
    }

    async fn forget_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        self.bus().forget_replies(node, jobs).await
    }
}

#[async_trait]
impl Challenges for FragileBus {
    async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        self.bus().put(key, value, ttl).await
    }

    async fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        self.challenge_reads.fetch_add(1, Ordering::SeqCst);
        self.bus().read(key).await
    }

    async fn take(&self, key: &Key) -> Result<Option<Vec<u8>>, BusError> {
        if self.refuses_takes.load(Ordering::SeqCst) {
            return Err(away("take a challenge"));
        }
        self.bus().take(key).await
    }

    async fn read_all(&self, user: &UserId, kind: Kind) -> Result<Vec<Vec<u8>>, BusError> {
        self.bus().read_all(user, kind).await
    }

    async fn delete_all(&self, user: &UserId, kind: Kind) -> Result<(), BusError> {
        self.bus().delete_all(user, kind).await
    }
}

#[async_trait]
impl Limits for FragileBus {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<Verdict, BusError> {
        self.bus().admit_all(user, charges).await
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        self.bus().admit_attempt(user, bucket, quota).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<Verdict, BusError> {
        if self.refuses_attempts.load(Ordering::SeqCst) {
            return Err(away("count an attempt"));
        }
        if self.counts_no_attempts.load(Ordering::SeqCst) {
            return Ok(Verdict::Admitted);
        }
        self.bus().admit_shared_attempt(user, bucket, quota, share).await
    }

    async fn admit_attempt_of_anyone(&self, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        self.bus().admit_attempt_of_anyone(bucket, quota).await
    }
}

impl Liveness for FragileBus {
    fn is_live(&self) -> bool {
        self.bus().is_live()
    }
}

#[async_trait]
impl Sessions for FragileBus {
    async fn seed(&self, session: &SessionKey, seed: Seed) -> Result<SessionState, BusError> {
        self.bus().seed(session, seed).await
    }

    async fn poke(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        self.bus().poke(sessions).await
    }

    async fn touch(&self, session: &SessionKey) -> Result<Touched, BusError> {
        self.bus().touch(session).await
    }

    async fn retime(&self, session: &SessionKey, timeout: Duration, lead: Duration) -> Result<SessionState, BusError> {
        self.bus().retime(session, timeout, lead).await
    }

    async fn record_token(&self, session: &SessionKey, issued_at: Option<Timestamp>) -> Result<SessionState, BusError> {
        self.bus().record_token(session, issued_at).await
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        self.bus().alive_sessions(user).await
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<Announced>, BusError> {
        self.bus().announce_end(sessions).await
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError> {
        self.up_for_ends("tell of an end")?;
        self.bus().end(session, ended_at, keep).await
    }

    async fn end_all(&self, user: &UserId, end: &EndOfAll, keep: Duration) -> Result<(), BusError> {
        self.up_for_ends("tell of an end")?;
        self.bus().end_all(user, end, keep).await
    }

    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        self.bus().expiries()
    }
}

#[async_trait]
impl Hints for FragileBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        self.bus().hint(user, from).await
    }

    async fn note_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        self.bus().note_seen(user, from).await
    }

    async fn forget_seen(&self, user: &UserId) -> Result<(), BusError> {
        self.bus().forget_seen(user).await
    }

    async fn begin_look(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus().begin_look(user, look).await
    }

    async fn note_none_open(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus().note_none_open(user, look).await
    }

    async fn forget_none_open(&self, user: &UserId) -> Result<(), BusError> {
        self.bus().forget_none_open(user).await
    }
}

#[async_trait]
impl Presence for FragileBus {
    async fn lease(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        self.bus().lease(node, lease).await
    }

    async fn enter(&self, user: &UserId, socket: &Present, most: usize) -> Result<Vec<Present>, BusError> {
        self.bus().enter(user, socket, most).await
    }

    async fn leave(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        self.bus().leave(user, node, connection).await
    }

    async fn present(&self, user: &UserId) -> Result<Vec<Present>, BusError> {
        self.bus().present(user).await
    }
}

#[async_trait]
impl Tickets for FragileBus {
    async fn issue(&self, key: &TicketKey, ticket: &Ticket) -> Result<Hold, BusError> {
        self.bus().issue(key, ticket).await
    }

    async fn redeem(
        &self,
        key: &TicketKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        self.bus().redeem(key, session, came).await
    }

    async fn keep(&self, holds: &[Hold]) -> Result<Vec<bool>, BusError> {
        self.bus().keep(holds).await
    }

    async fn void(&self, hold: &Hold) -> Result<(), BusError> {
        self.bus().void(hold).await
    }
}
