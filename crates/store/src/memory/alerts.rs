//! Alerts.

use std::time::SystemTime;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, SessionId, UserId};
use protocol::security::{Alert, AlertType};

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::alerts::{Acknowledged, Alerts, SignIn};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::rules;

#[async_trait]
impl Alerts for MemoryStore {
    async fn raise_alert(&self, alert: &Alert, receipt: &Receipt) -> Result<(), StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("raise the alert", &alert.user_id, receipt.actor.session())?;
        in_time("raise the alert", receipt)?;
        let event = Envelope::of_alert(alert.clone());
        if state.send(&alert.user_id, &[event], now) > 0 {
            let entry = Entry::of_raised_alert(alert);
            state.audit(&self.audit, &alert.user_id, entry, receipt, now);
        }
        Ok(())
    }

    async fn alerts(&self, user: &UserId, after: Option<&AlertId>) -> Result<Vec<Alert>, StoreError> {
        let state = self.state();
        let mut raised = state.alerts_of(user);
        let last_read = raised.find(|(_, raised)| Some(&raised.alert.alert_id) == after);
        let behind = last_read.map_or(i64::MIN, |(number, _)| number);
        let newer = state.alerts_of(user).filter(|(number, _)| *number > behind);
        Ok(rules::page(newer.map(|(_, raised)| raised.alert.clone())))
    }

    async fn open_alerts(&self, user: &UserId) -> Result<Vec<Alert>, StoreError> {
        let state = self.state();
        let raised = state.alerts_of(user).map(|(_, raised)| raised);
        let open = raised.filter(|raised| raised.alert.requires_action && !raised.acknowledged);
        Ok(rules::page(open.map(|raised| raised.alert.clone())))
    }

    async fn acknowledge_alert(
        &self,
        user: &UserId,
        alert: &AlertId,
        by: &SignIn,
        receipt: &Receipt,
    ) -> Result<Acknowledged, StoreError> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("acknowledge the alert", user, receipt.actor.session())?;
        let mut theirs = state.alerts_of(user);
        let Some((number, raised)) = theirs.find(|(_, raised)| raised.alert.alert_id == *alert) else {
            return Ok(Acknowledged::Unknown);
        };
        if raised.acknowledged {
            return Ok(Acknowledged::Yes);
        }
        let is_suspicious = raised.alert.kind == AlertType::SuspiciousLogin;
        let mut failed = state.alerts_of(user).filter(|(earlier, failed)| {
            is_suspicious && *earlier < number && failed.alert.kind == AlertType::FailedTwoFactor
        });
        let at = raised.raised_at;
        if raised.stands_against(by, at) || failed.any(|(_, failed)| failed.stands_against(by, at)) {
            return Ok(Acknowledged::OwnSession);
        }
        in_time("acknowledge the alert", receipt)?;
        let entry = Entry::of_acknowledged(raised.alert.kind.as_str(), alert);
        drop((theirs, failed));
        if let Some(raised) = state.alerts.get_mut(&(user.clone(), number)) {
            raised.acknowledged = true;
        }
        state.audit(&self.audit, user, entry, receipt, now);
        Ok(Acknowledged::Yes)
    }
}

/// An alert.
#[derive(Debug)]
pub(super) struct RaisedAlert {
    pub(super) alert: Alert,
    pub(super) raised_at: SystemTime,
    pub(super) acknowledged: bool,
    pub(super) subject: Option<SignIn>,
}

impl RaisedAlert {
    /// Whether this session may not acknowledge an alert that was raised at that time, because of this one.
    pub(super) fn stands_against(&self, by: &SignIn, raised_at: SystemTime) -> bool {
        let Some(subject) = self.subject.as_ref().filter(|subject| subject.session == by.session) else {
            return false;
        };
        let since = subject.at.into_iter().chain([raised_at.into()]).max();
        by.at <= since
    }
}

impl State {
    /// False when it is there already.
    pub(super) fn keep_alert(
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
        let raised = RaisedAlert {
            alert,
            raised_at: now,
            acknowledged: false,
            subject: subject.cloned(),
        };
        self.alerts.insert(key, raised);
        true
    }

    /// No alert is about this session any more.
    pub(super) fn clear(&mut self, user: &UserId, session: &SessionId) {
        let theirs = self.alerts.iter_mut().filter(|((owner, _), _)| owner == user);
        for (_, raised) in theirs.filter(|(_, raised)| raised.subject.as_ref().is_some_and(|it| it.session == *session))
        {
            raised.subject = None;
        }
    }

    /// With their numbers.
    pub(super) fn alerts_of(&self, user: &UserId) -> impl Iterator<Item = (i64, &RaisedAlert)> {
        let theirs = self.alerts.range((user.clone(), i64::MIN)..);
        let theirs = theirs.take_while(move |((owner, _), _)| owner == user);
        theirs.map(|((_, number), raised)| (*number, raised))
    }
}
