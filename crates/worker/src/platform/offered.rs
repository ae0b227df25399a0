//! Offered platforms: those that this worker is configured for.

use std::collections::HashMap;
use std::sync::Arc;

use platforms::Platform;
use protocol::account::AccountType;
use protocol::code::ErrorCode;
use protocol::fault::Fault;

/// Offered platforms by account type. Clones share them.
#[derive(Clone)]
pub(crate) struct Offered {
    platforms: Arc<HashMap<AccountType, Arc<dyn Platform>>>,
}

impl Offered {
    pub(crate) fn new(platforms: &[Arc<dyn Platform>]) -> Self {
        let by_type = platforms
            .iter()
            .map(|platform| (platform.account_type(), Arc::clone(platform)));
        Self {
            platforms: Arc::new(by_type.collect()),
        }
    }

    pub(crate) fn all(&self) -> Vec<AccountType> {
        self.platforms.keys().copied().collect()
    }

    pub(crate) fn get(&self, account: AccountType) -> Result<&dyn Platform, NotOffered> {
        let platform = self.platforms.get(&account).ok_or(NotOffered(account))?;
        Ok(&**platform)
    }
}

/// Refusal for a platform that this worker is not configured for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0} is not offered here")]
pub(crate) struct NotOffered(AccountType);

impl Fault for NotOffered {
    fn code(&self) -> ErrorCode {
        ErrorCode::NotSupported
    }
}
