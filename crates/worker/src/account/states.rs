//! Linked accounts with the state of their syncs, for the application.

use protocol::api::{AccountList, LinkedAccount};
use protocol::cluster::job::JobOutcome;
use store::{AccountOverview, StoreError};

use super::AccountService;
use crate::call::Call;

impl AccountService {
    /// Lists the user's accounts with the state of their syncs.
    pub(crate) async fn states(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let accounts = self.accounts.account_states(&call.user).await?;
        let accounts = accounts.into_iter().map(linked_account).collect();
        Ok(JobOutcome::success(&AccountList { accounts }))
    }
}

fn linked_account(overview: AccountOverview) -> LinkedAccount {
    LinkedAccount {
        account: overview.account,
        needs_new_link: overview.is_disconnected,
        has_refresh_token: overview.has_refresh_token,
        token_expires_at: overview.token_expires_at,
        next_sync_at: overview.next_sync_at,
        failed_syncs: overview.failures.unsigned_abs(),
        paused_until: overview.paused_until,
    }
}
