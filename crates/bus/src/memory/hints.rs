//! Hints in memory.

use std::collections::HashSet;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{HINT_LIFE, LOOK_LIFE, MARKS};
use crate::hints::marks;
use crate::{BusError, Hint, Hints};

/// Devices and networks, by user.
pub(super) type Seen = Expiring<UserId, Marks>;

/// How a user's open alerts were last looked for.
pub(super) type Looks = Expiring<UserId, Look>;

/// A set that ends when its first mark does: what is in use is told to the store anew now and then.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    ends: Instant,
    marks: HashSet<String>,
}

/// A look for open alerts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It has begun.
    Begun(String),
    /// It found none.
    None,
}

#[async_trait]
impl Hints for MemoryBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        let seen = lock(&self.shared.seen)
            .get(user)
            .is_some_and(|seen| marks(from).iter().all(|mark| seen.marks.contains(mark)));
        let no_open_alerts = lock(&self.shared.looks).get(user) == Some(&Look::None);
        Ok(Hint { seen, no_open_alerts })
    }

    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        let now = Instant::now();
        let mut all = lock(&self.shared.seen);
        let kept = all.get(user).filter(|seen| seen.marks.len() < MARKS).cloned();
        let mut seen = kept.unwrap_or_else(|| Marks {
            ends: now + HINT_LIFE,
            marks: HashSet::new(),
        });
        seen.marks.extend(marks(from));
        let left = seen.ends.saturating_duration_since(now);
        all.insert(user.clone(), seen, left);
        Ok(())
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        lock(&self.shared.seen).remove(user);
        Ok(())
    }

    async fn begin_alert_check(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        let look = Look::Begun(look.to_owned());
        lock(&self.shared.looks).insert(user.clone(), look, LOOK_LIFE);
        Ok(())
    }

    async fn mark_no_open_alerts(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        let mut looks = lock(&self.shared.looks);
        if looks.get(user) == Some(&Look::Begun(look.to_owned())) {
            looks.insert(user.clone(), Look::None, HINT_LIFE);
        }
        Ok(())
    }

    async fn clear_no_open_alerts(&self, user: &UserId) -> Result<(), BusError> {
        lock(&self.shared.looks).remove(user);
        Ok(())
    }
}
