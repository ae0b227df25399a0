//! Rate cells in memory.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::{Bucket, BusError, Charge, LimitDecision, Limits, Quota, Share};

/// Rate cells. Each is the theoretical arrival time (TAT): the time at which the bucket will be full again.
pub(super) type RateCells = Expiring<(UserId, Bucket), Instant>;

/// Times of the last attempts with the member that made each, newest first, at most the quota's count. Global ones have no user.
pub(super) type Attempts = Expiring<(Option<UserId>, Bucket), VecDeque<(Instant, String)>>;

#[async_trait]
impl Limits for MemoryBus {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError> {
        let now = Instant::now();
        let mut cells = lock(&self.shared.cells);
        let mut taken = Vec::with_capacity(charges.len());
        let mut longest = Duration::ZERO;
        for charge in charges {
            let cell = (user.clone(), charge.bucket.clone());
            let full_at = cells.get(&cell).map_or(now, |full_at| now.max(*full_at)) + charge.refill();
            longest = longest.max(full_at.saturating_duration_since(now + charge.quota.period));
            taken.push((cell, full_at));
        }
        if !longest.is_zero() {
            return Ok(LimitDecision::Refused(longest));
        }
        for (cell, full_at) in taken {
            cells.insert(cell, full_at, full_at - now);
        }
        Ok(LimitDecision::Admitted)
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        let key = (Some(user.clone()), bucket.clone());
        Ok(self.attempt(key, quota, &Share::whole(quota)))
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError> {
        Ok(self.attempt((Some(user.clone()), bucket.clone()), quota, share))
    }

    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        Ok(self.attempt((None, bucket.clone()), quota, &Share::whole(quota)))
    }
}

impl MemoryBus {
    fn attempt(&self, key: (Option<UserId>, Bucket), quota: Quota, share: &Share<'_>) -> LimitDecision {
        let now = Instant::now();
        let count = usize::try_from(quota.count.max(1)).unwrap_or(usize::MAX);
        let most = usize::try_from(share.most.max(1)).unwrap_or(usize::MAX);
        let mut attempts = lock(&self.shared.attempts);
        let mut taken = attempts.get(&key).cloned().unwrap_or_default();
        let oldest = taken.get(count - 1);
        let oldest_of_member = taken.iter().filter(|(_, by)| by == share.member).nth(most - 1);
        let free_at = oldest
            .into_iter()
            .chain(oldest_of_member)
            .map(|(at, _)| *at + quota.period)
            .max();
        let wait = free_at.map_or(Duration::ZERO, |free_at| free_at.saturating_duration_since(now));
        if !wait.is_zero() {
            return LimitDecision::Refused(wait);
        }
        taken.push_front((now, share.member.to_owned()));
        taken.truncate(count);
        attempts.insert(key, taken, quota.period);
        LimitDecision::Admitted
    }
}
