//! Pauses of whole platforms.

use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;

use super::error::Failure;
use super::transaction::Transaction;
use super::{PgStore, row};
use crate::StoreError;
use crate::pauses::Pauses;
use crate::step::Step;

#[async_trait]
impl Pauses for PgStore {
    async fn pause_platform(&self, platform: AccountType, wait: Duration) -> Result<(), StoreError> {
        let (platform, wait) = (platform.as_str(), wait.as_secs_f64());
        self.pool.query(Step::PausePlatform, PAUSE, &[&platform, &wait]).await?;
        Ok(())
    }
}

/// Pauses a platform within another transaction.
pub(super) async fn pause(tx: &Transaction<'_>, platform: AccountType, wait: Duration) -> Result<(), Failure> {
    let pause = PAUSE;
    tx.execute(pause, &[&platform.as_str(), &wait.as_secs_f64()]).await?;
    Ok(())
}

/// Remaining pause of a platform; zero if there is none.
pub(super) async fn left(tx: &Transaction<'_>, platform: AccountType) -> Result<Duration, Failure> {
    let look =
        "SELECT extract(epoch FROM max(until) - now())::double precision AS paused FROM pauses WHERE account_type = $1";
    row::seconds(&tx.query_one(look, &[&platform.as_str()]).await?, "paused")
}

const PAUSE: &str = "INSERT INTO pauses (account_type, until) VALUES ($1, now() + $2 * interval '1 second') \
                     ON CONFLICT (account_type) DO UPDATE SET until = greatest(pauses.until, excluded.until)";
