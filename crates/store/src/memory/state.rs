//! State of the memory store, and the steps that its transactions consist of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::time::SystemTime;

use protocol::account::AccountType;
use protocol::app_webhook::AppWebhookType;
use protocol::cluster::envelope::Envelope;
use protocol::id::{EventId, JobId, SessionId, UserId};
use protocol::security::Alert;
use protocol::time::Timestamp;

use super::rows::{
    AlertRow, AnswerRow, AppWebhookRow, Chain, InboxRow, OutboxRow, PendingLinkRow, SessionRow, SyncRow, TaskRow,
};
use crate::StoreError;
use crate::accounts::Credentials;
use crate::alerts::SignIn;
use crate::answers::{Idempotency, PreviousAnswer, Receipt};
use crate::audit::{ChainEnd, Entry, extend};
use crate::outbox::{SentEvent, in_trace};
use crate::retention::PrunedTable;
use crate::rules;
use crate::security::SecurityRecord;
use crate::sessions::EndAllSessions;
use crate::vault::{AuditKeys, Ciphertext};

/// All rows.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Linked accounts by user and platform name.
    pub(super) accounts: BTreeMap<(UserId, &'static str), Credentials>,
    /// Sync rows, under the same keys.
    pub(super) syncs: BTreeMap<(UserId, &'static str), SyncRow>,
    /// End of each platform's pause, by platform name.
    pub(super) pauses: HashMap<&'static str, SystemTime>,
    /// Access epochs other than 0.
    pub(super) access_epochs: HashMap<UserId, i64>,
    /// Hashes of codes, states and confirmations that were used, and the time.
    pub(super) spent: HashMap<[u8; 32], SystemTime>,
    pub(super) answers: HashMap<JobId, AnswerRow>,
    /// Job of each idempotency key.
    pub(super) asked: HashMap<[u8; 32], JobId>,
    pub(super) outbox: BTreeMap<i64, OutboxRow>,
    /// Events of the outbox that are not yet published.
    pub(super) unsent: BTreeSet<(UserId, i64)>,
    pub(super) known_events: HashSet<EventId>,
    /// Webhooks to the application by number.
    pub(super) app_webhooks: BTreeMap<i64, AppWebhookRow>,
    /// Types of the webhooks that are queued.
    pub(super) app_webhook_types: Vec<AppWebhookType>,
    pub(super) tasks: BTreeMap<i64, TaskRow>,
    pub(super) pending_links: BTreeMap<i64, PendingLinkRow>,
    /// Alerts by user, in the order in which they were raised.
    pub(super) alerts: BTreeMap<(UserId, i64), AlertRow>,
    pub(super) audit: BTreeMap<String, Chain>,
    /// Keys of users in the audit log.
    pub(super) user_keys: BTreeMap<UserId, Ciphertext>,
    pub(super) security: HashMap<UserId, SecurityRecord>,
    pub(super) sessions: BTreeMap<(UserId, SessionId), SessionRow>,
    /// Last end of all sessions of a user, and whether it is unconfirmed.
    pub(super) ends_of_all: HashMap<UserId, (EndAllSessions, bool)>,
    pub(super) deadlines_kept_at: Option<Timestamp>,
    /// Last use of each device and network, by user, kind and name.
    pub(super) seen: BTreeMap<(UserId, &'static str, String), SystemTime>,
    /// Users with a recorded device, now or before.
    pub(super) had_device: HashSet<UserId>,
    /// Time of each delivery, by platform name and delivery id.
    pub(super) deliveries: HashMap<(&'static str, String), SystemTime>,
    /// First use of each vault key, by its id.
    pub(super) vault_keys: HashMap<String, SystemTime>,
    /// Last time at which the expired rows of a table were deleted.
    pub(super) pruned_at: BTreeMap<PrunedTable, SystemTime>,
    /// Inboxes by platform name.
    pub(super) inboxes: HashMap<&'static str, InboxRow>,
    last_number: i64,
}

impl State {
    /// Returns a new unique number.
    pub(super) fn next_number(&mut self) -> i64 {
        self.last_number += 1;
        self.last_number
    }

    /// Number that was returned last.
    pub(super) fn last_number(&self) -> i64 {
        self.last_number
    }

    pub(super) fn access_epoch(&self, user: &UserId) -> i64 {
        self.access_epochs.get(user).copied().unwrap_or(0)
    }

    pub(super) fn account(&self, user: &UserId, account: AccountType) -> Option<&Credentials> {
        self.accounts.get(&(user.clone(), account.as_str()))
    }

    /// Accounts of a user, ordered by platform name.
    pub(super) fn accounts_of(&self, user: &UserId) -> impl Iterator<Item = &Credentials> {
        let theirs = self.accounts.range((user.clone(), "")..);
        theirs
            .take_while(move |((owner, _), _)| owner == user)
            .map(|(_, linked)| linked)
    }

    /// Answer to this very job.
    pub(super) fn answered(&self, job: &JobId, now: SystemTime) -> Option<&AnswerRow> {
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

    /// Refuses a session that has ended.
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

    /// First step in the transaction of a job: returns its previous answer. A session that has ended in the meantime still
    /// receives the answer to this very job.
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

    /// Previous answer to a job or under its idempotency key. Another payload under the same key was refused before the work;
    /// here it must only not be committed beside the first.
    pub(super) fn repeated(&self, receipt: &Receipt, now: SystemTime) -> Option<Ciphertext> {
        let first = self.asked_by(receipt)?;
        (now < first.expires_at).then(|| first.answer.clone())
    }

    fn asked_by(&self, receipt: &Receipt) -> Option<&AnswerRow> {
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
        let answer = AnswerRow {
            idempotency: receipt.idempotency.clone(),
            answer: receipt.answer.clone(),
            expires_at: now + receipt.keep,
        };
        self.answers.insert(receipt.job.clone(), answer);
    }

    /// Appends a row to the user's audit log.
    #[expect(
        clippy::expect_used,
        reason = "the key of a user is encrypted with a key of this store, and no key in use is removed: `check_key_change`"
    )]
    pub(super) fn audit(&mut self, keys: &AuditKeys, user: &UserId, entry: Entry, receipt: &Receipt, now: SystemTime) {
        let chain = self.audit.entry(user.to_string()).or_default();
        let at = Timestamp::from(now).as_millis();
        let end = ChainEnd {
            head: chain.head(),
            user_key: self.user_keys.get(user).cloned(),
        };
        let new = extend(keys, &end, user.as_str(), at, entry, receipt).expect("the key of the user is readable");
        if let Some(key) = new.new_key {
            self.user_keys.insert(user.clone(), key);
        }
        chain.rows.push(new.row);
    }

    /// Queues events in their order; an event whose id is known is skipped. Also writes the row of an alert. Returns the number of
    /// new events.
    pub(super) fn send(&mut self, user: &UserId, events: &[Envelope], now: SystemTime) -> u64 {
        self.send_with_subject(user, events, None, now)
    }

    /// Same as [`Self::send`], for events whose alerts concern a session.
    pub(super) fn send_with_subject(
        &mut self,
        user: &UserId,
        events: &[Envelope],
        subject: Option<&SignIn>,
        now: SystemTime,
    ) -> u64 {
        let mut new = 0;
        for event in events {
            if let Ok(Some(alert)) = rules::alert_of(event)
                && !self.insert_alert(user, alert, subject, now)
            {
                continue;
            }
            if !self.known_events.insert(event.id.clone()) {
                continue;
            }
            let number = self.next_number();
            self.unsent.insert((user.clone(), number));
            let outgoing = OutboxRow {
                user: user.clone(),
                event: in_trace(event).into_owned(),
                created_at: now,
                sent_at: None,
            };
            self.outbox.insert(number, outgoing);
            self.queue_app_webhook(user, event, now);
            new += 1;
        }
        new
    }

    /// Oldest event of a user that is not marked as sent.
    pub(super) fn oldest_unsent(&self, user: &UserId) -> Option<(i64, Envelope, bool)> {
        let (owner, number) = self.unsent.range((user.clone(), i64::MIN)..).next()?;
        let outgoing = self.outbox.get(number).filter(|_| owner == user)?;
        Some((*number, outgoing.event.clone(), true))
    }

    /// Oldest event of a user with a higher number that is unsent or recent; and whether it is unsent.
    pub(super) fn next_recent(&self, user: &UserId, after: i64, now: SystemTime) -> Option<(i64, Envelope, bool)> {
        let later = self.outbox.range((Bound::Excluded(after), Bound::Unbounded));
        let mut of_user = later.filter(|(_, outgoing)| outgoing.user == *user);
        let next = of_user.find(|(_, outgoing)| outgoing.sent_at.is_none() || outgoing.is_recent(now));
        let (number, outgoing) = next?;
        Some((*number, outgoing.event.clone(), outgoing.sent_at.is_none()))
    }

    pub(super) fn mark_sent(&mut self, sent: &[SentEvent], now: SystemTime) {
        for event in sent {
            self.mark_as_sent(event.id.0, now);
        }
    }

    pub(super) fn mark_as_sent(&mut self, number: i64, now: SystemTime) {
        if let Some(outgoing) = self.outbox.get_mut(&number) {
            self.unsent.remove(&(outgoing.user.clone(), number));
            outgoing.sent_at = Some(now);
        }
    }

    /// Inserts an alert; false if it exists already.
    pub(super) fn insert_alert(
        &mut self,
        user: &UserId,
        alert: Alert,
        subject: Option<&SignIn>,
        now: SystemTime,
    ) -> bool {
        if self
            .alerts_of(user)
            .any(|(_, raised)| raised.alert.alert_id == alert.alert_id)
        {
            return false;
        }
        let key = (user.clone(), self.next_number());
        let raised = AlertRow {
            alert,
            raised_at: now,
            acknowledged_at: None,
            subject: subject.cloned(),
        };
        self.alerts.insert(key, raised);
        true
    }

    /// Removes a session as the subject of the user's alerts.
    pub(super) fn clear_subject(&mut self, user: &UserId, session: &SessionId) {
        let theirs = self.alerts.iter_mut().filter(|((owner, _), _)| owner == user);
        for (_, raised) in theirs.filter(|(_, raised)| raised.subject.as_ref().is_some_and(|it| it.session == *session))
        {
            raised.subject = None;
        }
    }

    /// Alerts of a user with their numbers, in the order in which they were raised.
    pub(super) fn alerts_of(&self, user: &UserId) -> impl Iterator<Item = (i64, &AlertRow)> {
        let theirs = self.alerts.range((user.clone(), i64::MIN)..);
        let theirs = theirs.take_while(move |((owner, _), _)| owner == user);
        theirs.map(|((_, number), raised)| (*number, raised))
    }

    /// Alerts of a user that require action and are not acknowledged, oldest first.
    pub(super) fn open_alerts_of(&self, user: &UserId) -> impl Iterator<Item = &AlertRow> {
        let raised = self.alerts_of(user).map(|(_, raised)| raised);
        raised.filter(|raised| raised.is_open())
    }

    /// Reports whether a session has ended, by itself or with all others of its user.
    pub(super) fn is_session_ended(&self, user: &UserId, session: &SessionId) -> bool {
        let all = self.ends_of_all.get(user).map(|(all, _)| all);
        let row = self.sessions.get(&(user.clone(), session.clone()));
        row.is_some_and(|row| row.known.ended_at(session, all).is_some())
    }
}
