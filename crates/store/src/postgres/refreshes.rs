//! Token refreshes. Each change is a transaction.

mod begin;
mod disconnect;
mod finish;

use async_trait::async_trait;

use self::begin::BeginRefresh;
use self::disconnect::MarkDisconnected;
use self::finish::FinishRefresh;
use super::PgStore;
use super::parameter::Parameter;
use crate::StoreError;
use crate::answers::Receipt;
use crate::refreshes::{
    DisconnectOutcome, DisconnectedLink, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, Refreshes,
};
use crate::step::Step;

#[async_trait]
impl Refreshes for PgStore {
    async fn begin_refresh(&self, refresh: &Refresh) -> Result<RefreshStart, StoreError> {
        self.pool.transact(Step::BeginRefresh, &BeginRefresh(refresh)).await
    }

    async fn undo_refresh(&self, refresh: &Refresh) -> Result<(), StoreError> {
        let undo = "UPDATE accounts SET sends = sends - 1, send_id = NULL \
                    WHERE user_id = $1 AND account_type = $2 AND generation = $3 AND sent_generation = $3 AND send_id = $4 \
                    RETURNING 1";
        let (user, account) = (refresh.lease.user.as_str(), refresh.lease.account.as_str());
        let values: [&dyn Parameter; 4] = [&user, &account, &refresh.generation, &refresh.attempt_id];
        self.pool.query(Step::UndoRefresh, undo, &values).await?;
        Ok(())
    }

    async fn finish_refresh(&self, refreshed: &RefreshedTokens) -> Result<RefreshOutcome, StoreError> {
        self.pool
            .transact(Step::StoreRefreshedTokens, &FinishRefresh(refreshed))
            .await
    }

    async fn mark_disconnected(
        &self,
        link: &DisconnectedLink,
        receipt: &Receipt,
    ) -> Result<DisconnectOutcome, StoreError> {
        let work = MarkDisconnected {
            link,
            receipt,
            audit: &self.audit,
        };
        self.pool.transact(Step::MarkLinkAsDisconnected, &work).await
    }
}
