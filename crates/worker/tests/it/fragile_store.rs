//! The embedded store, which can be made to be away.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Refused;
use protocol::id::{AlertId, JobId, SessionId, UserId, WorkerId};
use protocol::security::Alert;
use serde_json::Value;
use store::{
    Accounts, Acknowledged, Actor, Alerts, Answers, Arrival, Audit, AuditRow, ChainHead, ChainTip, CommittedEnds,
    Credentials, Decide, Decided, Delivered, Deliveries, Delivery, Devices, Earlier, Exchange, ExchangeStart,
    FinishedSync, Idempotency, InboxTurn, Inboxes, Link, LinkOutcome, LossWritten, LostLink, MemoryStore, Novelty,
    OpenedSession, Outbox, ParkOutcome, ParkedId, ParkedLink, Parking, Pauses, Publisher, Queue, Receipt, Refresh,
    RefreshStart, RefreshWritten, Refreshed, Refreshes, RefusedLink, Relayed, Revocation, RevokeAll, RevokeAllOutcome,
    RevokeScope, Room, SealedTokens, Security, SecurityRecord, SessionEnding, SessionOpened, SessionOpening, Sessions,
    SessionsEnded, SessionsReceipt, SignIn, StoreError, SyncWritten, Syncs, Taken, Taking, Task, TaskId, Turn, Unlink,
    UnlinkOutcome, Written,
};

/// Works like the store within, unless told otherwise.
#[derive(Debug)]
pub(crate) struct FragileStore {
    store: MemoryStore,
    /// No job is looked up.
    pub(crate) is_away: AtomicBool,
    /// No sweep looks for unsent events.
    pub(crate) refuses_sweeps: AtomicBool,
    /// So many links are not stored or parked.
    pub(crate) refused_links: AtomicU64,
    /// So many links are what the database refuses.
    pub(crate) broken_links: AtomicU64,
    /// So many failed links are not recorded.
    pub(crate) refused_refusals: AtomicU64,
    /// So often the revocation of what was issued is not queued.
    pub(crate) refused_provisionals: AtomicU64,
    /// So many deliveries are not stored.
    pub(crate) refused_deliveries: AtomicU64,
    /// So often it is not stored how far a revocation got.
    pub(crate) refused_progress: AtomicU64,
    /// How often a second factor was read or changed.
    pub(crate) security_calls: AtomicU64,
    due_looks: AtomicU64,
    busy_turns: AtomicU64,
    leases: AtomicU64,
    inbox_looks: AtomicU64,
    slow_lists: Mutex<HashMap<UserId, Duration>>,
    lists_in_hand: AtomicU64,
    most_lists_in_hand: AtomicU64,
    ended_inbox_turns: Mutex<Vec<AccountType>>,
}

impl FragileStore {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self {
            store,
            is_away: AtomicBool::new(false),
            refuses_sweeps: AtomicBool::new(false),
            refused_links: AtomicU64::new(0),
            broken_links: AtomicU64::new(0),
            refused_refusals: AtomicU64::new(0),
            refused_provisionals: AtomicU64::new(0),
            refused_deliveries: AtomicU64::new(0),
            refused_progress: AtomicU64::new(0),
            security_calls: AtomicU64::new(0),
            due_looks: AtomicU64::new(0),
            busy_turns: AtomicU64::new(0),
            leases: AtomicU64::new(0),
            inbox_looks: AtomicU64::new(0),
            slow_lists: Mutex::default(),
            lists_in_hand: AtomicU64::new(0),
            most_lists_in_hand: AtomicU64::new(0),
            ended_inbox_turns: Mutex::default(),
        }
    }

    /// How many turns of this platform's inbox have ended.
    pub(crate) fn ended_inbox_turns(&self, platform: AccountType) -> usize {
        let ended = self.ended_inbox_turns.lock().unwrap();
        ended.iter().filter(|ended| **ended == platform).count()
    }

    /// How often somebody wanted the turn of an account that another had.
    pub(crate) fn busy_turns(&self) -> u64 {
        self.busy_turns.load(Ordering::SeqCst)
    }

    /// How often workers looked for revocations that are due.
    pub(crate) fn leases(&self) -> u64 {
        self.leases.load(Ordering::SeqCst)
    }

    /// How often workers looked for accounts that are due.
    pub(crate) fn due_looks(&self) -> u64 {
        self.due_looks.load(Ordering::SeqCst)
    }

    /// Each list of this user's accounts takes so long from now on.
    pub(crate) fn slow_down_lists_of(&self, user: &str, by: Duration) {
        self.slow_lists.lock().unwrap().insert(UserId::new(user).unwrap(), by);
    }

    /// How many slow lists were in hand at once, at most.
    pub(crate) fn most_slow_lists(&self) -> u64 {
        self.most_lists_in_hand.load(Ordering::SeqCst)
    }

    /// How often workers wanted the turn of an inbox.
    pub(crate) fn inbox_looks(&self) -> u64 {
        self.inbox_looks.load(Ordering::SeqCst)
    }
}

/// Takes one from those that are still to be refused.
fn is_refused(left: &AtomicU64) -> bool {
    let one_less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
}

fn away(step: &'static str) -> StoreError {
    StoreError::Away {
        step,
        source: "the test said so".into(),
    }
}

fn broken(step: &'static str) -> StoreError {
    StoreError::Broken {
        step,
        source: "the test said so".into(),
    }
}

#[async_trait]
impl Accounts for FragileStore {
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError> {
        let slow = self.slow_lists.lock().unwrap().get(user).copied();
        if let Some(slow) = slow {
            let in_hand = self.lists_in_hand.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_lists_in_hand.fetch_max(in_hand, Ordering::SeqCst);
            let never = tokio::time::timeout(slow, std::future::pending::<()>());
            never.await.unwrap_err();
            self.lists_in_hand.fetch_sub(1, Ordering::SeqCst);
        }
        self.store.accounts(user).await
    }

    async fn credentials(&self, user: &UserId, account: AccountType) -> Result<Option<Credentials>, StoreError> {
        self.store.credentials(user, account).await
    }

    async fn access_epoch(&self, user: &UserId) -> Result<i64, StoreError> {
        self.store.access_epoch(user).await
    }

    async fn begin_exchange(&self, exchange: &Exchange) -> Result<ExchangeStart, StoreError> {
        self.store.begin_exchange(exchange).await
    }

    async fn link_account(&self, link: &Link, receipt: &Receipt) -> Result<LinkOutcome, StoreError> {
        if is_refused(&self.refused_links) {
            return Err(away("store the link"));
        }
        if is_refused(&self.broken_links) {
            return Err(broken("store the link"));
        }
        self.store.link_account(link, receipt).await
    }

    async fn refuse_link(&self, refused: &RefusedLink, receipt: &Receipt) -> Result<Written, StoreError> {
        if is_refused(&self.refused_refusals) {
            return Err(away("store the failed link"));
        }
        self.store.refuse_link(refused, receipt).await
    }

    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError> {
        self.store.unlink_account(unlink, receipt).await
    }

    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError> {
        self.store.revoke_all(all).await
    }
}

#[async_trait]
impl Syncs for FragileStore {
    async fn take_due_turns(&self, rooms: &[Room], lease: Duration) -> Result<Vec<Taken>, StoreError> {
        let due = self.store.take_due_turns(rooms, lease).await;
        self.due_looks.fetch_add(1, Ordering::SeqCst);
        due
    }

    async fn take_turn(
        &self,
        session: (&UserId, &SessionId),
        account: AccountType,
        lease: Duration,
    ) -> Result<Taking, StoreError> {
        let taking = self.store.take_turn(session, account, lease).await;
        if matches!(taking, Ok(Taking::Busy)) {
            self.busy_turns.fetch_add(1, Ordering::SeqCst);
        }
        taking
    }

    async fn keep_turn(&self, turn: &Turn, lease: Duration) -> Result<bool, StoreError> {
        self.store.keep_turn(turn, lease).await
    }

    async fn begin_sync(&self, turn: &Turn, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        self.store.begin_sync(turn, session, syncing).await
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncWritten, StoreError> {
        self.store.finish_sync(sync, receipt).await
    }
}

#[async_trait]
impl Refreshes for FragileStore {
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError> {
        self.store.begin_refresh(refresh).await
    }

    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError> {
        self.store.undo_refresh(refresh).await
    }

    async fn finish_refresh(&self, refreshed: &Refreshed) -> Result<RefreshWritten, StoreError> {
        self.store.finish_refresh(refreshed).await
    }

    async fn lose_link(&self, lost: &LostLink, receipt: &Receipt) -> Result<LossWritten, StoreError> {
        self.store.lose_link(lost, receipt).await
    }
}

#[async_trait]
impl Alerts for FragileStore {
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError> {
        self.store.raise_alert(alert, receipt).await
    }

    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError> {
        self.store.alerts(user, after).await
    }

    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError> {
        self.store.open_alerts(user).await
    }

    async fn acknowledge_alert(
        &self,
        user: &UserId,
        alert: &AlertId,
        by: &SignIn,
        receipt: &Receipt,
    ) -> Result<Acknowledged, StoreError> {
        self.store.acknowledge_alert(user, alert, by, receipt).await
    }
}

#[async_trait]
impl Answers for FragileStore {
    async fn earlier(
        &self,
        asker: (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<Earlier, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(away("look for an earlier answer"));
        }
        self.store.earlier(asker, job, idempotency).await
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.store.prune().await
    }
}

#[async_trait]
impl Audit for FragileStore {
    async fn record_refusals(
        &self,
        user: &UserId,
        refused: &[Refused],
        receipt: &Receipt,
    ) -> Result<Written, StoreError> {
        self.store.record_refusals(user, refused, receipt).await
    }

    async fn record_confirmation(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<Written, StoreError> {
        self.store.record_confirmation(user, command, receipt).await
    }

    async fn audited_after(&self, user: Option<&str>) -> Result<Option<String>, StoreError> {
        self.store.audited_after(user).await
    }

    async fn audit_tip(&self, user: &str) -> Result<ChainTip, StoreError> {
        self.store.audit_tip(user).await
    }

    async fn audit_rows(&self, user: &str, after: i64, up_to: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.store.audit_rows(user, after, up_to, limit).await
    }

    async fn heads_to_log(&self, user: Option<&str>, limit: usize) -> Result<Vec<ChainHead>, StoreError> {
        self.store.heads_to_log(user, limit).await
    }

    async fn heads_logged(&self, heads: &[ChainHead]) -> Result<(), StoreError> {
        self.store.heads_logged(heads).await
    }
}

#[async_trait]
impl Outbox for FragileStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        self.store.relay_user(user, publisher).await
    }

    async fn users_behind(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        if self.is_away.load(Ordering::SeqCst) || self.refuses_sweeps.load(Ordering::SeqCst) {
            return Err(away("look for unsent events"));
        }
        self.store.users_behind(limit).await
    }

    async fn resend_recent(&self) -> Result<u64, StoreError> {
        self.store.resend_recent().await
    }
}

#[async_trait]
impl Parking for FragileStore {
    async fn park_link(&self, parked: &ParkedLink, receipt: &Receipt) -> Result<ParkOutcome, StoreError> {
        if is_refused(&self.refused_links) {
            return Err(away("park the link"));
        }
        if is_refused(&self.broken_links) {
            return Err(broken("park the link"));
        }
        self.store.park_link(parked, receipt).await
    }

    async fn parked_link(&self, user: &UserId, id: &ParkedId) -> Result<Option<ParkedLink>, StoreError> {
        self.store.parked_link(user, id).await
    }

    async fn end_parked_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        self.store.end_parked_link(receipt).await
    }
}

#[async_trait]
impl Queue for FragileStore {
    async fn lease_tasks(&self, worker: &WorkerId, rooms: &[Room], lease: Duration) -> Result<Vec<Task>, StoreError> {
        let leased = self.store.lease_tasks(worker, rooms, lease).await;
        self.leases.fetch_add(1, Ordering::SeqCst);
        leased
    }

    async fn keep_tokens(&self, task: &TaskId, tokens: &SealedTokens) -> Result<Option<RevokeScope>, StoreError> {
        if is_refused(&self.refused_progress) {
            return Err(away("keep the tokens of a task"));
        }
        self.store.keep_tokens(task, tokens).await
    }

    async fn queue_provisional(
        &self,
        whose: (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError> {
        if is_refused(&self.refused_provisionals) {
            return Err(away("queue a provisional revocation"));
        }
        self.store.queue_provisional(whose, issued, after).await
    }

    async fn name_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError> {
        self.store.name_owner(task, platform_user_id).await
    }

    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError> {
        self.store.finish_task(task).await
    }

    async fn retry_task(&self, task: &TaskId, after: Duration, why: &str) -> Result<bool, StoreError> {
        self.store.retry_task(task, after, why).await
    }
}

#[async_trait]
impl Security for FragileStore {
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError> {
        self.security_calls.fetch_add(1, Ordering::SeqCst);
        self.store.security(user).await
    }

    async fn decide_security(&self, user: &UserId, by: &Actor, decide: &Decide<'_>) -> Result<Decided, StoreError> {
        self.security_calls.fetch_add(1, Ordering::SeqCst);
        self.store.decide_security(user, by, decide).await
    }
}

#[async_trait]
impl Sessions for FragileStore {
    async fn open_session(&self, opening: &SessionOpening) -> Result<SessionOpened, StoreError> {
        self.store.open_session(opening).await
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        self.store.is_session_ended(user, session).await
    }

    async fn end_sessions(
        &self,
        ending: &SessionEnding<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<SessionsEnded, StoreError> {
        self.store.end_sessions(ending, receipt).await
    }

    async fn count_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError> {
        self.store.count_failure(user, session).await
    }

    async fn users_with_unconfirmed_ends(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.store.users_with_unconfirmed_ends(limit).await
    }

    async fn unconfirmed_ends(&self, user: &UserId) -> Result<CommittedEnds, StoreError> {
        self.store.unconfirmed_ends(user).await
    }

    async fn confirm_ends(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError> {
        self.store.confirm_ends(user, ends).await
    }

    async fn sessions_of(&self, user: &UserId, alive: &[SessionId]) -> Result<Vec<OpenedSession>, StoreError> {
        self.store.sessions_of(user, alive).await
    }

    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError> {
        self.store.live_sessions(after, limit).await
    }

    async fn keep_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError> {
        self.store.keep_deadlines(left).await
    }

    async fn note_deadlines_kept(&self, ago: Duration) -> Result<(), StoreError> {
        self.store.note_deadlines_kept(ago).await
    }

    async fn retime_sessions(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError> {
        self.store.retime_sessions(user, left).await
    }
}

#[async_trait]
impl Deliveries for FragileStore {
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<Delivered, StoreError> {
        if is_refused(&self.refused_deliveries) {
            return Err(away("deliver news"));
        }
        self.store.deliver(delivery).await
    }
}

#[async_trait]
impl Devices for FragileStore {
    async fn arrive(&self, arrival: &Arrival<'_>) -> Result<Novelty, StoreError> {
        self.store.arrive(arrival).await
    }
}

#[async_trait]
impl Inboxes for FragileStore {
    async fn take_inbox(&self, platform: AccountType, lease: Duration) -> Result<Option<InboxTurn>, StoreError> {
        self.inbox_looks.fetch_add(1, Ordering::SeqCst);
        self.store.take_inbox(platform, lease).await
    }

    async fn finish_inbox(&self, turn: &InboxTurn, cursor: Option<&Value>, next: Duration) -> Result<bool, StoreError> {
        let finished = self.store.finish_inbox(turn, cursor, next).await;
        self.ended_inbox_turns.lock().unwrap().push(turn.platform);
        finished
    }
}

#[async_trait]
impl Pauses for FragileStore {
    async fn pause_platform(&self, platform: AccountType, wait: Duration) -> Result<(), StoreError> {
        self.store.pause_platform(platform, wait).await
    }
}
