//! Embedded store with faults on request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, JobId, SessionId, UserId, WorkerId};
use protocol::security::Alert;
use serde_json::Value;
use store::{
    AccountOverview, Accounts, Acknowledged, Actor, AlertPageQuery, AlertRequest, Alerts, Answers, Audit, Credentials,
    Deliveries, Delivery, DeliveryOutcome, EncryptedTokens, Exchange, ExchangeStart, Factor, FactorLock, FinishedSync,
    FoundAlerts, Idempotency, InboxLease, Inboxes, LeasedSync, Link, LinkOutcome, MemoryStore, Outbox, OutboxBacklog,
    PendingLink, PendingLinkId, PendingLinkOutcome, PendingLinks, PlatformCapacity, PreviousAnswer, Publisher,
    RaisedAlert, Receipt, RefusedLink, Relayed, Revocation, RevokeAll, RevokeAllOutcome, RevokeScope, Security,
    SecurityOutcome, SecurityRecord, SecurityRule, SentEvent, SignIn, StoreError, SyncLease, SyncLeaseOutcome,
    SyncOutcome, Syncs, Task, TaskId, TaskQueue, Unlink, UnlinkOutcome, WriteOutcome,
};
use worker::StoreRoles;

/// Roles of [`MemoryStore`] in which faults can be set; the others are its own.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    store: Arc<MemoryStore>,
    /// Refuses to look up answers and unsent events.
    pub(crate) is_unavailable: AtomicBool,
    /// Refuses to look up unsent events.
    pub(crate) refuses_sweeps: AtomicBool,
    /// Number of links, pending ones included, still to be refused as unavailable.
    pub(crate) refused_links: AtomicU64,
    /// Number of links, pending ones included, still to be refused by the database.
    pub(crate) broken_links: AtomicU64,
    /// Number of groups of alerts still to be refused as unavailable.
    pub(crate) refused_groups: AtomicU64,
    /// Number of groups of alerts still to be refused by the database.
    pub(crate) broken_groups: AtomicU64,
    /// Sizes of the groups of alerts.
    pub(crate) groups: Mutex<Vec<usize>>,
    /// Number of failed links that are still not to be recorded.
    pub(crate) refused_refusals: AtomicU64,
    /// Number of provisional revocations that are still not to be queued.
    pub(crate) refused_provisionals: AtomicU64,
    /// Number of deliveries that are still not to be stored.
    pub(crate) refused_deliveries: AtomicU64,
    /// Number of updates of a revocation's tokens that are still not to be stored.
    pub(crate) refused_progress: AtomicU64,
    /// Number of reads and changes of security records.
    pub(crate) security_calls: AtomicU64,
    /// Decides changes of security records as if the application had locked the factor right before.
    pub(crate) locks_before_decisions: AtomicBool,
    due_queries: AtomicU64,
    busy_leases: AtomicU64,
    leases: AtomicU64,
    inbox_queries: AtomicU64,
    slow_lists: Mutex<HashMap<UserId, Duration>>,
    running_lists: AtomicU64,
    max_running_lists: AtomicU64,
    ended_inbox_leases: Mutex<Vec<AccountType>>,
}

impl FaultyStore {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self {
            store: Arc::new(store),
            is_unavailable: AtomicBool::new(false),
            refuses_sweeps: AtomicBool::new(false),
            refused_links: AtomicU64::new(0),
            broken_links: AtomicU64::new(0),
            refused_groups: AtomicU64::new(0),
            broken_groups: AtomicU64::new(0),
            groups: Mutex::default(),
            refused_refusals: AtomicU64::new(0),
            refused_provisionals: AtomicU64::new(0),
            refused_deliveries: AtomicU64::new(0),
            refused_progress: AtomicU64::new(0),
            security_calls: AtomicU64::new(0),
            locks_before_decisions: AtomicBool::new(false),
            due_queries: AtomicU64::new(0),
            busy_leases: AtomicU64::new(0),
            leases: AtomicU64::new(0),
            inbox_queries: AtomicU64::new(0),
            slow_lists: Mutex::default(),
            running_lists: AtomicU64::new(0),
            max_running_lists: AtomicU64::new(0),
            ended_inbox_leases: Mutex::default(),
        }
    }

    pub(crate) fn roles(self: &Arc<Self>) -> StoreRoles {
        StoreRoles {
            accounts: Arc::<Self>::clone(self),
            alerts: Arc::<Self>::clone(self),
            answers: Arc::<Self>::clone(self),
            deliveries: Arc::<Self>::clone(self),
            inboxes: Arc::<Self>::clone(self),
            outbox: Arc::<Self>::clone(self),
            pending_links: Arc::<Self>::clone(self),
            security: Arc::<Self>::clone(self),
            syncs: Arc::<Self>::clone(self),
            tasks: Arc::<Self>::clone(self),
            ..StoreRoles::of(Arc::<MemoryStore>::clone(&self.store))
        }
    }

    pub(crate) fn audit(&self) -> &dyn Audit {
        &*self.store
    }

    /// Number of leases of this platform's inbox that have ended.
    pub(crate) fn ended_inbox_leases(&self, platform: AccountType) -> usize {
        let ended = self.ended_inbox_leases.lock().unwrap();
        ended.iter().filter(|ended| **ended == platform).count()
    }

    /// Number of requests for a sync lease that another worker had.
    pub(crate) fn busy_leases(&self) -> u64 {
        self.busy_leases.load(Ordering::SeqCst)
    }

    /// Number of queries of due revocations.
    pub(crate) fn leases(&self) -> u64 {
        self.leases.load(Ordering::SeqCst)
    }

    /// Number of queries of due accounts.
    pub(crate) fn due_queries(&self) -> u64 {
        self.due_queries.load(Ordering::SeqCst)
    }

    /// Delays every further list of this user's accounts.
    pub(crate) fn slow_down_lists_of(&self, user: &str, by: Duration) {
        self.slow_lists.lock().unwrap().insert(UserId::new(user).unwrap(), by);
    }

    /// Largest number of concurrent slow lists.
    pub(crate) fn max_running_lists(&self) -> u64 {
        self.max_running_lists.load(Ordering::SeqCst)
    }

    /// Number of requests for an inbox lease.
    pub(crate) fn inbox_queries(&self) -> u64 {
        self.inbox_queries.load(Ordering::SeqCst)
    }
}

/// Counts one fault down; reports whether it applies.
fn is_refused(left: &AtomicU64) -> bool {
    let decrement = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement).is_ok()
}

fn unavailable(step: &'static str) -> StoreError {
    StoreError::Unavailable {
        step,
        source: "fault of the test".into(),
    }
}

fn broken(step: &'static str) -> StoreError {
    StoreError::Broken {
        step,
        source: "fault of the test".into(),
    }
}

#[async_trait]
impl Accounts for FaultyStore {
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError> {
        let slow = self.slow_lists.lock().unwrap().get(user).copied();
        if let Some(slow) = slow {
            let running = self.running_lists.fetch_add(1, Ordering::SeqCst) + 1;
            self.max_running_lists.fetch_max(running, Ordering::SeqCst);
            let elapsed = tokio::time::timeout(slow, std::future::pending::<()>());
            elapsed.await.unwrap_err();
            self.running_lists.fetch_sub(1, Ordering::SeqCst);
        }
        self.store.accounts(user).await
    }

    async fn account_states(&self, user: &UserId) -> Result<Vec<AccountOverview>, StoreError> {
        self.store.account_states(user).await
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
            return Err(unavailable("store the link"));
        }
        if is_refused(&self.broken_links) {
            return Err(broken("store the link"));
        }
        self.store.link_account(link, receipt).await
    }

    async fn refuse_link(&self, assert_error: &RefusedLink, receipt: &Receipt) -> Result<WriteOutcome, StoreError> {
        if is_refused(&self.refused_refusals) {
            return Err(unavailable("store the failed link"));
        }
        self.store.refuse_link(assert_error, receipt).await
    }

    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError> {
        self.store.unlink_account(unlink, receipt).await
    }

    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError> {
        self.store.revoke_all(all).await
    }
}

#[async_trait]
impl Syncs for FaultyStore {
    async fn lease_due_syncs(
        &self,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<LeasedSync>, StoreError> {
        let due = self.store.lease_due_syncs(capacities, ttl).await;
        self.due_queries.fetch_add(1, Ordering::SeqCst);
        due
    }

    async fn lease_sync(
        &self,
        session: (&UserId, &SessionId),
        account: AccountType,
        ttl: Duration,
    ) -> Result<SyncLeaseOutcome, StoreError> {
        let taking = self.store.lease_sync(session, account, ttl).await;
        if matches!(taking, Ok(SyncLeaseOutcome::Busy)) {
            self.busy_leases.fetch_add(1, Ordering::SeqCst);
        }
        taking
    }

    async fn renew_sync_lease(&self, lease: &SyncLease, ttl: Duration) -> Result<bool, StoreError> {
        self.store.renew_sync_lease(lease, ttl).await
    }

    async fn begin_sync(&self, lease: &SyncLease, session: &SessionId, syncing: &Envelope) -> Result<(), StoreError> {
        self.store.begin_sync(lease, session, syncing).await
    }

    async fn finish_sync(&self, sync: &FinishedSync, receipt: Option<&Receipt>) -> Result<SyncOutcome, StoreError> {
        self.store.finish_sync(sync, receipt).await
    }
}

#[async_trait]
impl Answers for FaultyStore {
    async fn previous_answer(
        &self,
        asker: (&UserId, &Actor),
        job: &JobId,
        idempotency: Option<&Idempotency>,
    ) -> Result<PreviousAnswer, StoreError> {
        if self.is_unavailable.load(Ordering::SeqCst) {
            return Err(unavailable("look for an earlier answer"));
        }
        self.store.previous_answer(asker, job, idempotency).await
    }
}

#[async_trait]
impl Alerts for FaultyStore {
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError> {
        self.store.raise_alert(alert, receipt).await
    }

    async fn raise_alerts(&self, group: &[AlertRequest], sent: &[SentEvent]) -> Result<Vec<RaisedAlert>, StoreError> {
        self.groups.lock().unwrap().push(group.len());
        if is_refused(&self.refused_groups) {
            return Err(unavailable("raise a group of alerts"));
        }
        if is_refused(&self.broken_groups) {
            return Err(broken("raise a group of alerts"));
        }
        self.store.raise_alerts(group, sent).await
    }

    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError> {
        self.store.alerts(user, after).await
    }

    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError> {
        self.store.open_alerts(user).await
    }

    async fn find_alert(&self, user: &UserId, alert: &AlertId) -> Result<Option<Alert>, StoreError> {
        self.store.find_alert(user, alert).await
    }

    async fn find_alerts(&self, user: &UserId, query: &AlertPageQuery) -> Result<FoundAlerts, StoreError> {
        self.store.find_alerts(user, query).await
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
impl Outbox for FaultyStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        self.store.relay_user(user, publisher).await
    }

    async fn users_with_unsent_events(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        if self.is_unavailable.load(Ordering::SeqCst) || self.refuses_sweeps.load(Ordering::SeqCst) {
            return Err(unavailable("look for unsent events"));
        }
        self.store.users_with_unsent_events(limit).await
    }

    async fn mark_sent(&self, sent: &[SentEvent]) -> Result<(), StoreError> {
        self.store.mark_sent(sent).await
    }

    async fn restore_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        self.store.restore_user(user, publisher).await
    }

    async fn users_with_recent_events(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.store.users_with_recent_events(after, limit).await
    }

    async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError> {
        if self.is_unavailable.load(Ordering::SeqCst) {
            return Err(unavailable("measure the outbox"));
        }
        self.store.outbox_backlog().await
    }
}

#[async_trait]
impl PendingLinks for FaultyStore {
    async fn add_pending_link(
        &self,
        pending_link: &PendingLink,
        receipt: &Receipt,
    ) -> Result<PendingLinkOutcome, StoreError> {
        if is_refused(&self.refused_links) {
            return Err(unavailable("store the pending link"));
        }
        if is_refused(&self.broken_links) {
            return Err(broken("store the pending link"));
        }
        self.store.add_pending_link(pending_link, receipt).await
    }

    async fn pending_link(&self, user: &UserId, id: &PendingLinkId) -> Result<Option<PendingLink>, StoreError> {
        self.store.pending_link(user, id).await
    }

    async fn expire_pending_link(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        self.store.expire_pending_link(receipt).await
    }
}

#[async_trait]
impl TaskQueue for FaultyStore {
    async fn lease_tasks(
        &self,
        worker: &WorkerId,
        capacities: &[PlatformCapacity],
        ttl: Duration,
    ) -> Result<Vec<Task>, StoreError> {
        let leased = self.store.lease_tasks(worker, capacities, ttl).await;
        self.leases.fetch_add(1, Ordering::SeqCst);
        leased
    }

    async fn replace_task_tokens(
        &self,
        task: &TaskId,
        tokens: &EncryptedTokens,
    ) -> Result<Option<RevokeScope>, StoreError> {
        if is_refused(&self.refused_progress) {
            return Err(unavailable("keep the tokens of a task"));
        }
        self.store.replace_task_tokens(task, tokens).await
    }

    async fn queue_provisional_revocation(
        &self,
        whose: (&UserId, &JobId),
        issued: &Revocation,
        after: Duration,
    ) -> Result<(), StoreError> {
        if is_refused(&self.refused_provisionals) {
            return Err(unavailable("queue a provisional revocation"));
        }
        self.store.queue_provisional_revocation(whose, issued, after).await
    }

    async fn set_task_owner(&self, task: &Task, platform_user_id: &str) -> Result<Option<RevokeScope>, StoreError> {
        self.store.set_task_owner(task, platform_user_id).await
    }

    async fn finish_task(&self, task: &TaskId) -> Result<bool, StoreError> {
        self.store.finish_task(task).await
    }

    async fn retry_task(&self, task: &TaskId, after: Duration, why: &str) -> Result<bool, StoreError> {
        self.store.retry_task(task, after, why).await
    }

    async fn dead_tasks(&self) -> Result<u64, StoreError> {
        self.store.dead_tasks().await
    }
}

#[async_trait]
impl Security for FaultyStore {
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError> {
        self.security_calls.fetch_add(1, Ordering::SeqCst);
        self.store.security(user).await
    }

    async fn decide_security(
        &self,
        user: &UserId,
        by: &Actor,
        decide: &SecurityRule<'_>,
    ) -> Result<SecurityOutcome, StoreError> {
        self.security_calls.fetch_add(1, Ordering::SeqCst);
        if !self.locks_before_decisions.load(Ordering::SeqCst) {
            return self.store.decide_security(user, by, decide).await;
        }
        let decide_locked = |record: &SecurityRecord, now| {
            let mut record = record.clone();
            let lock = FactorLock {
                since: now,
                until: None,
            };
            record.factor = record.factor.map(|factor| Factor {
                lock: Some(lock),
                ..factor
            });
            decide(&record, now)
        };
        self.store.decide_security(user, by, &decide_locked).await
    }
}

#[async_trait]
impl Deliveries for FaultyStore {
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<DeliveryOutcome, StoreError> {
        if is_refused(&self.refused_deliveries) {
            return Err(unavailable("store a delivery"));
        }
        self.store.deliver(delivery).await
    }
}

#[async_trait]
impl Inboxes for FaultyStore {
    async fn lease_inbox(&self, platform: AccountType, ttl: Duration) -> Result<Option<InboxLease>, StoreError> {
        self.inbox_queries.fetch_add(1, Ordering::SeqCst);
        self.store.lease_inbox(platform, ttl).await
    }

    async fn finish_inbox(
        &self,
        lease: &InboxLease,
        cursor: Option<&Value>,
        next: Duration,
    ) -> Result<bool, StoreError> {
        let finished = self.store.finish_inbox(lease, cursor, next).await;
        self.ended_inbox_leases.lock().unwrap().push(lease.platform);
        finished
    }
}
