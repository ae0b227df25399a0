//! `account:list`: all linked accounts.

use protocol::cluster::job::JobOutcome;
use protocol::command::{Answer, ListAnswer};
use store::StoreError;

use super::AccountService;
use crate::call::Call;

impl AccountService {
    pub(crate) async fn list(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let accounts = self.accounts.accounts(&call.user).await?;
        Ok(JobOutcome::from(&Answer::List(ListAnswer { accounts })))
    }
}
