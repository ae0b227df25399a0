//! Alerts.

use std::collections::HashSet;
use std::slice;

use async_trait::async_trait;
use protocol::api::AlertState;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, UserId};
use protocol::security::{Alert, AlertType};

use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::alerts::{Acknowledged, AlertPageQuery, AlertRequest, Alerts, FoundAlert, FoundAlerts, RaisedAlert, SignIn};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::outbox::{OutboxId, SentEvent};
use crate::rules::{self, Examined, MOST_EXAMINED};

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

    async fn raise_alerts(&self, group: &[AlertRequest], sent: &[SentEvent]) -> Result<Vec<RaisedAlert>, StoreError> {
        let now = self.now();
        for request in group {
            in_time("raise a group of alerts", request.receipt())?;
        }
        let mut state = self.state();
        state.mark_sent(sent, now);
        let users = group.iter().map(|request| &request.alert().user_id);
        let behind: HashSet<_> = users.filter(|user| state.oldest_unsent(user).is_some()).collect();
        let mut raised = Vec::with_capacity(group.len());
        for request in group {
            let (alert, receipt) = (request.alert(), request.receipt());
            if receipt.actor.session().is_some() {
                raised.push(RaisedAlert::Alone);
                continue;
            }
            if state.send(&alert.user_id, slice::from_ref(request.event()), now) == 0 {
                raised.push(RaisedAlert::Relay);
                continue;
            }
            let number = state.last_number();
            state.audit(&self.audit, &alert.user_id, Entry::of_raised_alert(alert), receipt, now);
            raised.push(if behind.contains(&alert.user_id) {
                RaisedAlert::Relay
            } else {
                RaisedAlert::Publish(OutboxId(number))
            });
        }
        Ok(raised)
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
        Ok(rules::page(
            state.open_alerts_of(user).map(|raised| raised.alert.clone()),
        ))
    }

    async fn find_alert(&self, user: &UserId, alert: &AlertId) -> Result<Option<Alert>, StoreError> {
        let state = self.state();
        let mut raised = state.alerts_of(user).map(|(_, raised)| &raised.alert);
        Ok(raised.find(|raised| raised.alert_id == *alert).cloned())
    }

    async fn find_alerts(&self, user: &UserId, query: &AlertPageQuery) -> Result<FoundAlerts, StoreError> {
        let state = self.state();
        let is_before = |number: i64| query.before.is_none_or(|before| number < before);
        let mut examined: Vec<_> = state
            .alerts_of(user)
            .filter(|(number, raised)| {
                is_before(*number) && (query.state != Some(AlertState::Open) || raised.is_open())
            })
            .collect();
        examined.reverse();
        examined.truncate(usize::try_from(MOST_EXAMINED).unwrap_or(usize::MAX));
        let bounds = Examined {
            count: i64::try_from(examined.len()).unwrap_or(i64::MAX),
            last: examined.last().map(|(number, _)| *number),
        };
        let found = examined
            .into_iter()
            .filter(|(_, raised)| query.state != Some(AlertState::Acknowledged) || raised.acknowledged_at.is_some());
        let found = found.take(query.limit.into()).map(|(number, raised)| FoundAlert {
            number,
            alert: raised.alert.clone(),
            acknowledged_at: raised.acknowledged_at.map(Into::into),
        });
        Ok(rules::found_alerts(found.collect(), query.limit, &bounds))
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
        state.refuse_ended("mark the alert as acknowledged", user, receipt.actor.session())?;
        let mut theirs = state.alerts_of(user);
        let Some((number, raised)) = theirs.find(|(_, raised)| raised.alert.alert_id == *alert) else {
            return Ok(Acknowledged::Unknown);
        };
        if raised.acknowledged_at.is_some() {
            return Ok(Acknowledged::Yes);
        }
        let is_suspicious = raised.alert.kind == AlertType::SuspiciousLogin;
        let mut failed = state.alerts_of(user).filter(|(before, failed)| {
            is_suspicious && *before < number && failed.alert.kind == AlertType::FailedTwoFactor
        });
        let at = raised.raised_at;
        if raised.excludes(by, at) || failed.any(|(_, failed)| failed.excludes(by, at)) {
            return Ok(Acknowledged::OwnSession);
        }
        in_time("mark the alert as acknowledged", receipt)?;
        let entry = Entry::of_acknowledged(raised.alert.kind.as_str(), alert);
        drop((theirs, failed));
        if let Some(raised) = state.alerts.get_mut(&(user.clone(), number)) {
            raised.acknowledged_at = Some(now);
        }
        state.audit(&self.audit, user, entry, receipt, now);
        Ok(Acknowledged::Yes)
    }
}
