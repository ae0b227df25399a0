//! Embedded bus with faults on request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    AliveSession, Bucket, BusError, ChallengeKey, ChallengeKind, Challenges, ChannelMessages, Charge, ClaimedJob,
    EndAllSessions, EndAnnouncement, EntryId, Events, Hint, Hints, Jobs, LimitDecision, Limits, LogRead, MemoryBus,
    PublishMode, PublishOutcome, Quota, RecordedSignIn, SessionKey, SessionRegistry, SessionRenewal, SessionSeed,
    SessionState, Share, TokenTimes, UserSubscriptions,
};
use lifecycle::OsEntropy;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::cluster::offset::{Epoch, Offset};
use protocol::cluster::origin::Origin;
use protocol::id::{EventId, JobId, NodeId, UserId, WorkerId};
use protocol::time::Timestamp;
use tokio::sync::mpsc;
use worker::BusRoles;

/// Roles of [`MemoryBus`] in which faults can be set, or whose data can be lost; the others are its own.
#[derive(Debug)]
pub(crate) struct FaultyBus {
    bus: Mutex<MemoryBus>,
    pub(crate) refuses_events: AtomicBool,
    /// Number of events still to be refused.
    pub(crate) refused_events: AtomicU64,
    pub(crate) refuses_claims: AtomicBool,
    /// Refuses to take challenges.
    pub(crate) refuses_takes: AtomicBool,
    /// Refuses committed ends of sessions.
    pub(crate) refuses_ends: AtomicBool,
    /// Refuses to count attempts.
    pub(crate) refuses_attempts: AtomicBool,
    /// Admits every shared attempt, so that a test needs no time for many of them.
    pub(crate) admits_all_attempts: AtomicBool,
    /// Number of reads of challenges.
    pub(crate) challenge_reads: AtomicU64,
    /// Number of answers still to be refused.
    pub(crate) refused_answers: AtomicU64,
}

impl FaultyBus {
    pub(crate) fn new() -> Self {
        Self {
            bus: Mutex::new(MemoryBus::new(Arc::new(OsEntropy))),
            refuses_events: AtomicBool::new(false),
            refused_events: AtomicU64::new(0),
            refuses_claims: AtomicBool::new(false),
            refuses_takes: AtomicBool::new(false),
            refuses_ends: AtomicBool::new(false),
            refuses_attempts: AtomicBool::new(false),
            admits_all_attempts: AtomicBool::new(false),
            challenge_reads: AtomicU64::new(0),
            refused_answers: AtomicU64::new(0),
        }
    }

    pub(crate) fn roles(self: &Arc<Self>) -> BusRoles {
        BusRoles {
            challenges: Arc::<Self>::clone(self),
            events: Arc::<Self>::clone(self),
            hints: Arc::<Self>::clone(self),
            jobs: Arc::<Self>::clone(self),
            limits: Arc::<Self>::clone(self),
            sessions: Arc::<Self>::clone(self),
            ..BusRoles::of(Arc::new(self.bus()))
        }
    }

    /// Replaces the bus by an empty one, as after a restart of Redis without persistence. Subscriptions must be renewed.
    pub(crate) fn lose_data(&self) {
        *self.bus.lock().unwrap() = MemoryBus::new(Arc::new(OsEntropy));
    }

    fn check_ends(&self, step: &'static str) -> Result<(), BusError> {
        if self.refuses_ends.load(Ordering::SeqCst) {
            return Err(unavailable(step));
        }
        Ok(())
    }

    fn bus(&self) -> MemoryBus {
        self.bus.lock().unwrap().clone()
    }
}

fn unavailable(step: &'static str) -> BusError {
    BusError::Unavailable {
        step,
        source: "fault of the test".into(),
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
        let refused = self
            .refused_events
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refused.is_ok() || self.refuses_events.load(Ordering::SeqCst) {
            return Err(unavailable("publish an event"));
        }
        self.bus().publish_with(user, envelope, mode).await
    }

    async fn is_compared(&self, user: &UserId, id: &EventId) -> Result<bool, BusError> {
        self.bus().is_compared(user, id).await
    }

    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, BusError> {
        self.bus().unrestored_epoch(user).await
    }

    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, BusError> {
        self.bus().mark_restored(user, epoch).await
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        self.bus().offsets(users).await
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        self.bus().read_log(user, after, limit).await
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, ChannelMessages), BusError> {
        self.bus().listen().await
    }
}

#[async_trait]
impl Jobs for FaultyBus {
    async fn submit(&self, lane: Lane, job: &Job, patience: Duration) -> Result<(), BusError> {
        self.bus().submit(lane, job, patience).await
    }

    async fn claim(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        if self.refuses_claims.load(Ordering::SeqCst) {
            return Err(unavailable("claim jobs"));
        }
        self.bus().claim(lane, worker, max, wait).await
    }

    async fn is_served(&self, lane: Lane) -> Result<bool, BusError> {
        self.bus().is_served(lane).await
    }

    async fn mark_served(&self, lane: Lane) -> Result<(), BusError> {
        self.bus().mark_served(lane).await
    }

    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError> {
        self.bus().renew(lane, worker, entries).await
    }

    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError> {
        self.bus().finish(lane, entry).await
    }

    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError> {
        let decrement = |left: u64| left.checked_sub(1);
        let is_refused = self
            .refused_answers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement);
        if is_refused.is_ok() {
            return Err(unavailable("send an answer"));
        }
        self.bus().reply(node, reply).await
    }

    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        self.bus().subscribe_replies(node).await
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        self.bus().stored_replies(node, jobs).await
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        self.bus().delete_replies(node, jobs).await
    }
}

#[async_trait]
impl Challenges for FaultyBus {
    async fn put(&self, key: &ChallengeKey, value: &[u8], ttl: Duration) -> Result<(), BusError> {
        self.bus().put(key, value, ttl).await
    }

    async fn read(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        self.challenge_reads.fetch_add(1, Ordering::SeqCst);
        self.bus().read(key).await
    }

    async fn take(&self, key: &ChallengeKey) -> Result<Option<Vec<u8>>, BusError> {
        if self.refuses_takes.load(Ordering::SeqCst) {
            return Err(unavailable("take a challenge"));
        }
        self.bus().take(key).await
    }

    async fn read_all(&self, user: &UserId, kind: ChallengeKind) -> Result<Vec<Vec<u8>>, BusError> {
        self.bus().read_all(user, kind).await
    }

    async fn delete_all(&self, user: &UserId, kind: ChallengeKind) -> Result<(), BusError> {
        self.bus().delete_all(user, kind).await
    }
}

#[async_trait]
impl Limits for FaultyBus {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError> {
        self.bus().admit_all(user, charges).await
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.bus().admit_attempt(user, bucket, quota).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError> {
        if self.refuses_attempts.load(Ordering::SeqCst) {
            return Err(unavailable("count an attempt"));
        }
        if self.admits_all_attempts.load(Ordering::SeqCst) {
            return Ok(LimitDecision::Admitted);
        }
        self.bus().admit_shared_attempt(user, bucket, quota, share).await
    }

    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        self.bus().admit_global_attempt(bucket, quota).await
    }
}

#[async_trait]
impl SessionRegistry for FaultyBus {
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError> {
        self.bus().seed(session, seed).await
    }

    async fn seed_signed_in(
        &self,
        session: &SessionKey,
        seed: SessionSeed,
        sign_in: &RecordedSignIn<'_>,
    ) -> Result<SessionState, BusError> {
        self.bus().seed_signed_in(session, seed, sign_in).await
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        self.bus().check_ttl(sessions).await
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        self.bus().renew_session(session).await
    }

    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError> {
        self.bus().set_timeout(session, timeout, lead).await
    }

    async fn record_token(&self, session: &SessionKey, token: TokenTimes) -> Result<SessionState, BusError> {
        self.bus().record_token(session, token).await
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        self.bus().alive_sessions(user).await
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError> {
        self.bus().announce_end(sessions).await
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError> {
        self.check_ends("confirm an end")?;
        self.bus().end(session, ended_at, keep).await
    }

    async fn end_all(&self, user: &UserId, end: &EndAllSessions, keep: Duration) -> Result<(), BusError> {
        self.check_ends("confirm an end")?;
        self.bus().end_all(user, end, keep).await
    }

    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        self.bus().expiries()
    }
}

#[async_trait]
impl Hints for FaultyBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        self.bus().hint(user, from).await
    }

    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        self.bus().mark_seen(user, from).await
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        self.bus().clear_seen(user).await
    }

    async fn begin_alert_check(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus().begin_alert_check(user, look).await
    }

    async fn mark_no_open_alerts(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        self.bus().mark_no_open_alerts(user, look).await
    }
}
