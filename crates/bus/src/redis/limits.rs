//! Rate cells in Redis, perhaps in one of their own.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, Client, Script};
use crate::{Bucket, BusError, Limits, Quota, Verdict};

/// Where the cells are, and what changes them.
pub(super) struct Cells {
    client: Client,
    admit: Script,
    attempt: Script,
}

impl Cells {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            admit: Script::new(include_str!("script/gcra.lua")),
            attempt: Script::new(include_str!("script/sliding.lua")),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.client.is_live()
    }
}

#[async_trait]
impl Limits for RedisBus {
    async fn admit(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        let Cells { client, admit, .. } = &self.shared.limits;
        let cell = self.shared.names.cell(user, bucket);
        let times = [quota.interval(), quota.period].map(|time| Arg::from(time.as_micros()));
        let mut answer = client.run("ask a limit", admit, [cell], times).await?;
        Ok(verdict(answer.read()?))
    }

    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        let Cells { client, attempt, .. } = &self.shared.limits;
        let times = self.shared.names.cell(user, bucket);
        let arguments = [
            Arg::from(u128::from(quota.count.max(1))),
            Arg::from(quota.period.as_micros()),
        ];
        let mut answer = client.run("count an attempt", attempt, [times], arguments).await?;
        Ok(verdict(answer.read()?))
    }
}

/// What a script's answer means: how many microseconds to wait.
fn verdict(wait: u64) -> Verdict {
    match wait {
        0 => Verdict::Admitted,
        micros => Verdict::Refused(Duration::from_micros(micros)),
    }
}
