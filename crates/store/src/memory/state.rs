//! What is held in memory, and the small steps that transactions are made of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::id::{EventId, JobId, SessionId, UserId};
use protocol::time::Timestamp;

use super::alerts::RaisedAlert;
use super::inboxes::Inbox;
use super::parking::Pending;
use super::sessions::SessionRow;
use super::upkeep::Upkeep;
use crate::StoreError;
use crate::accounts::Credentials;
use crate::alerts::SignIn;
use crate::answers::{Idempotency, PreviousAnswer, Receipt};
use crate::audit::{AuditRow, ChainHead, Entry, extend};
use crate::queue::{Revocation, RevokeScope};
use crate::rules;
use crate::security::SecurityRecord;
use crate::sessions::EndAllSessions;
use crate::vault::{AuditKeys, Ciphertext};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By user and platform name.
    pub(super) accounts: BTreeMap<(UserId, &'static str), Credentials>,
    /// The same keys.
    pub(super) upkeep: BTreeMap<(UserId, &'static str), Upkeep>,
    /// By platform name, until when its accounts are left alone.
    pub(super) pauses: HashMap<&'static str, SystemTime>,
    /// Users whose epoch has moved.
    pub(super) access_epochs: HashMap<UserId, i64>,
    /// Hashes of codes, states and confirmations that were spent, and when.
    pub(super) spent: HashMap<[u8; 32], SystemTime>,
    pub(super) answers: HashMap<JobId, Answer>,
    /// Which job was asked under an idempotency key.
    pub(super) asked: HashMap<[u8; 32], JobId>,
    pub(super) outbox: BTreeMap<i64, Outgoing>,
    /// The part of the outbox that is still to be published.
    pub(super) unsent: BTreeSet<(UserId, i64)>,
    pub(super) known_events: HashSet<EventId>,
    pub(super) tasks: BTreeMap<i64, QueuedTask>,
    pub(super) pending_link: BTreeMap<i64, Pending>,
    /// By user, in the order in which they were raised.
    pub(super) alerts: BTreeMap<(UserId, i64), RaisedAlert>,
    pub(super) audit: BTreeMap<String, Chain>,
    pub(super) security: HashMap<UserId, SecurityRecord>,
    pub(super) sessions: BTreeMap<(UserId, SessionId), SessionRow>,
    /// When all of a user's sessions were ended last, and whether that is to be confirmed.
    pub(super) ends_of_all: HashMap<UserId, (EndAllSessions, bool)>,
    pub(super) deadlines_kept_at: Option<Timestamp>,
    /// By user, kind and name; when a worker was told last.
    pub(super) seen: BTreeMap<(UserId, &'static str, String), SystemTime>,
    /// Users who were ever seen with a device.
    pub(super) had_device: HashSet<UserId>,
    /// By platform name and delivery; when it came.
    pub(super) deliveries: HashMap<(&'static str, String), SystemTime>,
    /// By platform name.
    pub(super) inboxes: HashMap<&'static str, Inbox>,
    last_number: i64,
}

/// A user's audit log.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) rows: Vec<AuditRow>,
    /// Up to which row the head was logged.
    pub(super) logged: i64,
}

/// A remembered answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) idempotency: Option<Idempotency>,
    pub(super) answer: Ciphertext,
    pub(super) expires_at: SystemTime,
}

/// An event in the outbox.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) user: UserId,
    pub(super) event: Envelope,
    pub(super) created_at: SystemTime,
    pub(super) sent_at: Option<SystemTime>,
}

/// Work in the queue.
#[derive(Debug)]
pub(super) struct QueuedTask {
    pub(super) user: UserId,
    pub(super) revocation: Revocation,
    pub(super) tries: u32,
    pub(super) due_at: SystemTime,
    pub(super) fence: i64,
    pub(super) leased_until: Option<SystemTime>,
    pub(super) dead: bool,
    /// Of a provisional revocation.
    pub(super) job: Option<JobId>,
}

impl QueuedTask {
    pub(super) fn new(user: &UserId, revocation: Revocation, due_at: SystemTime) -> Self {
        Self {
            user: user.clone(),
            revocation,
            tries: 0,
            due_at,
            fence: 0,
            leased_until: None,
            dead: false,
            job: None,
        }
    }
}

impl Chain {
    pub(super) fn head(&self) -> Option<ChainHead> {
        self.rows.last().map(AuditRow::head)
    }
}

impl State {
    /// A number that was never given out before.
    pub(super) fn next_number(&mut self) -> i64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn access_epoch(&self, user: &UserId) -> i64 {
        self.access_epochs.get(user).copied().unwrap_or(0)
    }

    pub(super) fn account(&self, user: &UserId, account: AccountType) -> Option<&Credentials> {
        self.accounts.get(&(user.clone(), account.as_str()))
    }

    /// By platform name.
    pub(super) fn accounts_of(&self, user: &UserId) -> impl Iterator<Item = &Credentials> {
        let theirs = self.accounts.range((user.clone(), "")..);
        theirs
            .take_while(move |((owner, _), _)| owner == user)
            .map(|(_, linked)| linked)
    }

    /// What this very job was answered.
    pub(super) fn answered(&self, job: &JobId, now: SystemTime) -> Option<&Answer> {
        self.answers.get(job).filter(|answer| now < answer.expires_at)
    }

    pub(super) fn previous_answer(
        &self,
        job: &JobId,
        idempotency: Option<&Idempotency>,
        now: SystemTime,
    ) -> PreviousAnswer {
        let live = |job| self.answered(job, now);
        if let Some(answer) = live(job) {
            return PreviousAnswer::Answer(answer.answer.clone());
        }
        let asked = idempotency.and_then(|key| Some((key, live(self.asked.get(&key.scope)?)?)));
        match asked {
            None => PreviousAnswer::Nothing,
            Some((key, answer)) if answer.idempotency.as_ref() == Some(key) => {
                PreviousAnswer::Answer(answer.answer.clone())
            }
            Some(_) => PreviousAnswer::OtherBody,
        }
    }

    /// Refuses what a session asks for that has ended.
    pub(super) fn refuse_ended(
        &self,
        step: &'static str,
        user: &UserId,
        session: Option<&SessionId>,
    ) -> Result<(), StoreError> {
        match session {
            Some(session) if self.is_session_ended(user, session) => Err(StoreError::SessionEnded(step)),
            _ => Ok(()),
        }
    }

    /// First in the transaction of a job: gives what stands in its way. A session that has ended meanwhile still has the answer to this
    /// very job.
    pub(super) fn begin(
        &self,
        step: &'static str,
        user: &UserId,
        receipt: &Receipt,
        now: SystemTime,
    ) -> Result<Option<Ciphertext>, StoreError> {
        if self.answered(&receipt.job, now).is_none() {
            self.refuse_ended(step, user, receipt.actor.session())?;
        }
        Ok(self.repeated(receipt, now))
    }

    /// The answer that stands in a transaction's way. Another body under the same key was refused before the work began; here
    /// it only must not be committed beside the first.
    pub(super) fn repeated(&self, receipt: &Receipt, now: SystemTime) -> Option<Ciphertext> {
        let first = self.asked_by(receipt)?;
        (now < first.expires_at).then(|| first.answer.clone())
    }

    fn asked_by(&self, receipt: &Receipt) -> Option<&Answer> {
        let by_key = || {
            let key = receipt.idempotency.as_ref()?;
            self.answers.get(self.asked.get(&key.scope)?)
        };
        self.answers.get(&receipt.job).or_else(by_key)
    }

    pub(super) fn remember(&mut self, receipt: &Receipt, now: SystemTime) {
        if let Some(key) = &receipt.idempotency {
            self.asked.insert(key.scope, receipt.job.clone());
        }
        let answer = Answer {
            idempotency: receipt.idempotency.clone(),
            answer: receipt.answer.clone(),
            expires_at: now + receipt.keep,
        };
        self.answers.insert(receipt.job.clone(), answer);
    }

    /// Appends to the user's audit log.
    pub(super) fn audit(&mut self, keys: &AuditKeys, user: &UserId, entry: Entry, receipt: &Receipt, now: SystemTime) {
        let chain = self.audit.entry(user.to_string()).or_default();
        let at = Timestamp::from(now).as_millis();
        let row = extend(keys, chain.head().as_ref(), user, at, entry, receipt);
        chain.rows.push(row);
    }

    /// Queues events behind those that are there; one whose id is known is left out. An alert is a row too. Says how many are
    /// new.
    pub(super) fn send(&mut self, user: &UserId, events: &[Envelope], now: SystemTime) -> u64 {
        self.send_about(user, events, None, now)
    }

    /// The same, where alerts among them are about a session.
    pub(super) fn send_about(
        &mut self,
        user: &UserId,
        events: &[Envelope],
        subject: Option<&SignIn>,
        now: SystemTime,
    ) -> u64 {
        let mut new = 0;
        for event in events {
            if let Ok(Some(alert)) = rules::alert_of(event)
                && !self.keep_alert(user, alert, subject, now)
            {
                continue;
            }
            if !self.known_events.insert(event.id.clone()) {
                continue;
            }
            let number = self.next_number();
            self.unsent.insert((user.clone(), number));
            let outgoing = Outgoing {
                user: user.clone(),
                event: event.clone(),
                created_at: now,
                sent_at: None,
            };
            self.outbox.insert(number, outgoing);
            new += 1;
        }
        new
    }

    /// Moves an account's tokens, where it has any, into a revocation, and tells it in the audit log.
    pub(super) fn unlink(
        &mut self,
        keys: &AuditKeys,
        user: &UserId,
        account: AccountType,
        receipt: &Receipt,
        now: SystemTime,
    ) {
        let key = (user.clone(), account.as_str());
        self.upkeep.remove(&key);
        if let Some(linked) = self.accounts.remove(&key) {
            let entry = Entry::of_unlinked(account, &linked.account.platform_user_id);
            self.audit(keys, user, entry, receipt, now);
            let tokens = linked.tokens;
            let revocation = tokens.map(|tokens| tokens.revocation(account, linked.account.platform_user_id));
            self.revoke(user, revocation, now);
        }
    }

    /// Queues a revocation, where there is anything to give back, no wider than other links of the same platform account, parked ones
    /// too, allow.
    pub(super) fn revoke(&mut self, user: &UserId, revocation: Option<Revocation>, now: SystemTime) {
        let Some(mut revocation) = revocation else { return };
        let shared = self.is_linked(revocation.account, &revocation.platform_user_id);
        revocation.scope = rules::narrowed(revocation.scope, shared);
        let number = self.next_number();
        self.tasks.insert(number, QueuedTask::new(user, revocation, now));
    }

    /// As [`Self::revoke`], of what the job's exchange issued: the provisional revocation of that is withdrawn.
    pub(super) fn revoke_issued(&mut self, user: &UserId, issued: Option<Revocation>, job: &JobId, now: SystemTime) {
        self.withdraw(job);
        self.revoke(user, issued, now);
    }

    /// Withdraws the provisional revocation of what the job's exchange issued. False: it has begun.
    pub(super) fn withdraw(&mut self, job: &JobId) -> bool {
        let mut withdrawn = self.tasks.extract_if(.., |_, task| task.job.as_ref() == Some(job));
        withdrawn.all(|(_, task)| task.tries == 0)
    }

    /// Whether a link of this platform account lives, or is parked.
    pub(super) fn is_linked(&self, account: AccountType, platform_user_id: &str) -> bool {
        let linked = self.accounts.values().map(|linked| &linked.account);
        let mut all = linked.chain(
            self.pending_link
                .values()
                .map(|pending_link| &pending_link.link.account),
        );
        all.any(|linked| linked.account_type == account && linked.platform_user_id == platform_user_id)
    }

    /// Keeps what is still to be revoked from ending a link of the same platform account.
    pub(super) fn spare(&mut self, account: AccountType, platform_user_id: &str) {
        let pending = self.tasks.values_mut().filter(|task| !task.dead);
        let pending = pending.map(|task| &mut task.revocation);
        for revocation in pending.filter(|it| it.account == account && it.platform_user_id == platform_user_id) {
            revocation.scope = RevokeScope::Token;
        }
    }
}
