//! `account:list`: all linked accounts.

use protocol::answer::{self, Answer};
use protocol::cluster::job::JobOutcome;
use store::StoreError;

use super::AccountService;
use crate::call::Call;

impl AccountService {
    pub(crate) async fn list(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let accounts = self.store.accounts(&call.user).await?;
        Ok(JobOutcome::from(&Answer::List(answer::List { accounts })))
    }
}
