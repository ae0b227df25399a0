//! Hints in memory.

use std::collections::HashSet;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{ALERT_CHECK_TTL, HINT_TTL, MAX_ORIGIN_MARKS};
use crate::hints::marks;
use crate::{BusError, Hint, Hints, RecordedSignIn};

/// Marked devices and networks of each user.
pub(super) type SeenOrigins = Expiring<UserId, OriginMarks>;

/// Last check for open alerts of each user.
pub(super) type AlertChecks = Expiring<UserId, AlertCheck>;

/// Set of marks that expires with its first one, so that devices in use are reported to the store again.
#[derive(Debug, Clone)]
pub(super) struct OriginMarks {
    ends: Instant,
    marks: HashSet<String>,
}

/// Check for open alerts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AlertCheck {
    /// Running check, by its name.
    Running(String),
    /// No alert was open.
    None,
}

#[async_trait]
impl Hints for MemoryBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        let seen = lock(&self.shared.seen_origins)
            .get(user)
            .is_some_and(|seen| marks(from).iter().all(|mark| seen.marks.contains(mark)));
        let no_open_alerts = lock(&self.shared.alert_checks).get(user) == Some(&AlertCheck::None);
        Ok(Hint { seen, no_open_alerts })
    }

    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        self.mark_origin(user, from);
        Ok(())
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        lock(&self.shared.alert_checks).remove(user);
        lock(&self.shared.seen_origins).remove(user);
        Ok(())
    }

    async fn begin_alert_check(&self, user: &UserId, check: &str) -> Result<(), BusError> {
        let check = AlertCheck::Running(check.to_owned());
        lock(&self.shared.alert_checks).insert(user.clone(), check, ALERT_CHECK_TTL);
        Ok(())
    }

    async fn mark_no_open_alerts(&self, user: &UserId, check: &str) -> Result<(), BusError> {
        let mut alert_checks = lock(&self.shared.alert_checks);
        if alert_checks.get(user) == Some(&AlertCheck::Running(check.to_owned())) {
            alert_checks.insert(user.clone(), AlertCheck::None, HINT_TTL);
        }
        Ok(())
    }
}

impl MemoryBus {
    /// Marks the origin as seen, and records that no alert is open, if the check is the user's current one.
    pub(super) fn record_sign_in(&self, user: &UserId, sign_in: &RecordedSignIn<'_>) {
        let mut alert_checks = lock(&self.shared.alert_checks);
        if alert_checks.get(user) == Some(&AlertCheck::Running(sign_in.check.to_owned())) {
            alert_checks.insert(user.clone(), AlertCheck::None, HINT_TTL);
            self.mark_origin(user, sign_in.from);
        }
    }

    fn mark_origin(&self, user: &UserId, from: &Origin) {
        let now = Instant::now();
        let mut all = lock(&self.shared.seen_origins);
        let stored = all
            .get(user)
            .filter(|seen| seen.marks.len() < MAX_ORIGIN_MARKS)
            .cloned();
        let mut seen = stored.unwrap_or_else(|| OriginMarks {
            ends: now + HINT_TTL,
            marks: HashSet::new(),
        });
        seen.marks.extend(marks(from));
        let left = seen.ends.saturating_duration_since(now);
        all.insert(user.clone(), seen, left);
    }
}
