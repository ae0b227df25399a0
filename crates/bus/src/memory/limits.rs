//! Rate cells in memory.

use async_trait::async_trait;
use protocol::id::UserId;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::{Bucket, BusError, Limits, Quota, Verdict};

/// Each cell is one point in time, the theoretical arrival time (TAT): when the bucket will be full again.
pub(super) type Cells = Expiring<(UserId, Bucket), Instant>;

#[async_trait]
impl Limits for MemoryBus {
    async fn admit(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        let now = Instant::now();
        let cell = (user.clone(), bucket.clone());
        let mut cells = lock(&self.shared.cells);
        let full_at = cells.get(&cell).map_or(now, |full_at| now.max(*full_at));
        let taken = full_at + quota.interval();
        let wait = taken.saturating_duration_since(now + quota.period);
        if !wait.is_zero() {
            return Ok(Verdict::Refused(wait));
        }
        cells.insert(cell, taken, taken - now);
        Ok(Verdict::Admitted)
    }
}
