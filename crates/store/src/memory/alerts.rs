//! Alerts.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::{AlertId, UserId};
use protocol::security::Alert;

use super::MemoryStore;
use crate::StoreError;
use crate::alerts::Alerts;
use crate::rules;

#[async_trait]
impl Alerts for MemoryStore {
    async fn raise_alert(&self, alert: &Alert) -> Result<(), StoreError> {
        let now = self.now();
        let event = Envelope::of_alert(alert.clone());
        self.state().send(&alert.user_id, &[event], now);
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

    async fn acknowledge_alert(&self, user: &UserId, alert: &AlertId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let found = state
            .alerts_of(user)
            .find(|(_, raised)| raised.alert.alert_id == *alert);
        let found = found.map(|(number, _)| (user.clone(), number));
        let raised = found.and_then(|key| state.alerts.get_mut(&key));
        Ok(raised.map(|raised| raised.acknowledged = true).is_some())
    }
}
