//! Rate limits in Redis, optionally in one of their own.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, Client, Script};
use crate::operation::Operation;
use crate::{Bucket, BusError, Charge, LimitDecision, Limits, Quota, Share};

/// Scripts of the rate cells.
pub(super) struct LimitScripts {
    admit: Script,
    attempt: Script,
}

impl LimitScripts {
    pub(super) fn new() -> Self {
        Self {
            admit: Script::new(Operation::Gcra, include_str!("script/gcra.lua")),
            attempt: Script::new(Operation::SlidingWindow, include_str!("script/sliding_window.lua")),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self { admit, attempt } = self;
        [admit, attempt].into_iter()
    }
}

/// Connection of the rate cells, and their scripts.
pub(super) struct RateLimiter {
    client: Client,
    scripts: LimitScripts,
}

impl RateLimiter {
    pub(super) fn new(client: Client, scripts: LimitScripts) -> Self {
        Self { client, scripts }
    }

    pub(super) fn is_live(&self) -> bool {
        self.client.is_live()
    }

    /// Counts an attempt in the sliding window of this key.
    async fn attempt(&self, times: String, quota: Quota, share: &Share<'_>) -> Result<LimitDecision, BusError> {
        let attempt = &self.scripts.attempt;
        let arguments = [
            Arg::from(u128::from(quota.count.max(1))),
            Arg::from(quota.period.as_micros()),
            Arg::from(share.member),
            Arg::from(u128::from(share.most.max(1))),
        ];
        let mut reply = self.client.run("count an attempt", attempt, [times], arguments).await?;
        Ok(decision(reply.read()?))
    }
}

#[async_trait]
impl Limits for RedisBus {
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError> {
        if charges.is_empty() {
            return Ok(LimitDecision::Admitted);
        }
        let RateLimiter { client, scripts } = &self.shared.limits;
        let cells = charges
            .iter()
            .map(|charge| self.shared.names.cell(user, &charge.bucket));
        let times = charges.iter().flat_map(|charge| [charge.refill(), charge.quota.period]);
        let times = times.map(|time| Arg::from(time.as_micros()));
        let mut reply = client.run("check a limit", &scripts.admit, cells, times).await?;
        Ok(decision(reply.read()?))
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        let times = self.shared.names.cell(user, bucket);
        self.shared.limits.attempt(times, quota, &Share::whole(quota)).await
    }

    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError> {
        let times = self.shared.names.cell(user, bucket);
        self.shared.limits.attempt(times, quota, share).await
    }

    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        let times = self.shared.names.global_cell(bucket);
        self.shared.limits.attempt(times, quota, &Share::whole(quota)).await
    }
}

/// Converts a script's reply, the time to wait in microseconds.
fn decision(wait: u64) -> LimitDecision {
    match wait {
        0 => LimitDecision::Admitted,
        micros => LimitDecision::Refused(Duration::from_micros(micros)),
    }
}
