//! First use of each vault key.

use std::time::Duration;

use async_trait::async_trait;

use super::{PgStore, row};
use crate::StoreError;
use crate::key_uses::KeyUses;
use crate::step::Step;

#[async_trait]
impl KeyUses for PgStore {
    async fn record_key_use(&self, key_id: &str) -> Result<Duration, StoreError> {
        let step = Step::RecordUseOfVaultKey;
        // The update changes nothing, and makes the row of a known key be returned.
        let record = "INSERT INTO vault_keys (key_id) VALUES ($1) ON CONFLICT (key_id) DO UPDATE SET key_id = excluded.key_id \
                      RETURNING extract(epoch FROM now() - first_used_at)::double precision AS age";
        let rows = self.pool.query(step, record, &[&key_id]).await?;
        let age = rows.first().map(|row| row::seconds(row, "age")).transpose();
        let age = age.map_err(|failure| self.pool.report(step, failure))?;
        Ok(age.unwrap_or_default())
    }
}
