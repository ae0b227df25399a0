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
}

impl Cells {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            admit: Script::new(include_str!("script/gcra.lua")),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.client.is_live()
    }
}

#[async_trait]
impl Limits for RedisBus {
    async fn admit(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<Verdict, BusError> {
        let Cells { client, admit } = &self.shared.limits;
        let cell = self.shared.names.cell(user, bucket);
        let times = [quota.interval(), quota.period].map(|time| Arg::from(time.as_micros()));
        let mut answer = client.run("ask a limit", admit, [cell], times).await?;
        Ok(match answer.read()? {
            0 => Verdict::Admitted,
            micros => Verdict::Refused(Duration::from_micros(micros)),
        })
    }
}
