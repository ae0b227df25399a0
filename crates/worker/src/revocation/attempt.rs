//! One try to give a grant back.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Entropy};
use platforms::{ApiError, RefreshError, RevokeError, RevokeOutcome};
use protocol::fault::chain;
use store::vault::{Vault, VaultError};
use store::{Accounts, Pauses, StoreError, Task, TaskQueue};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::retry_delay::pause;
use crate::metrics::Metrics;
use crate::platform::{NotOffered, Offered, rate_limit};

/// Tries revocations.
pub(super) struct Revoker {
    pub(super) queue: Arc<dyn TaskQueue>,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) pauses: Arc<dyn Pauses>,
    pub(super) offered: Offered,
    pub(super) vault: Arc<Vault>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Metrics,
}

impl Revoker {
    /// Tries a leased revocation, and tells the queue how it went.
    pub(super) async fn revoke(&self, task: Task) {
        let account = task.revocation.account;
        let tried = timeout(PATIENCE, self.end(&task)).await;
        let told = match tried.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(revoked) => self.finish(&task, revoked).await,
            Err(error) => self.put_back(&task, &error).await,
        };
        match told {
            Ok((true, outcome)) => self.metrics.revocation(account, outcome),
            Ok((false, _)) => self.metrics.revocation(account, "lost"),
            // The lease ends by itself and the revocation is tried again, which is harmless.
            Err(error) => tracing::warn!(error = chain(&error), "the outcome of a revocation is not recorded"),
        }
    }

    /// Trying again would change nothing about a token that the platform does not know.
    async fn finish(&self, task: &Task, revoked: RevokeOutcome) -> Result<(bool, &'static str), StoreError> {
        let ours = self.queue.finish_task(&task.id).await?;
        if revoked == RevokeOutcome::Ended {
            return Ok((ours, "done"));
        }
        tracing::warn!(
            user = %task.user,
            platform = %task.revocation.account,
            platform_user = task.revocation.platform_user_id,
            task = task.id.row,
            "the platform does not know the token that was given back: whether its grant has ended is not known"
        );
        Ok((ours, "unknown_token"))
    }

    async fn put_back(&self, task: &Task, error: &TryError) -> Result<(bool, &'static str), StoreError> {
        let after = match error {
            TryError::Platform(RevokeError::Throttled { wait, pause, .. })
            | TryError::Renew(RefreshError::Throttled { wait, pause, .. })
            | TryError::Owner(ApiError::Throttled { wait, pause, .. }) => {
                let platform = task.revocation.account;
                rate_limit::heed(&*self.pauses, &self.metrics, platform, (*wait, *pause)).await;
                *wait
            }
            _ => pause(task.tries, &*self.entropy),
        };
        let why = chain(error);
        let ours = self.queue.retry_task(&task.id, after, &why).await?;
        if task.tries + 1 < TRIES {
            tracing::warn!(user = %task.user, platform = %task.revocation.account, error = why, "a grant is not given back yet");
            return Ok((ours, "retried"));
        }
        tracing::error!(
            user = %task.user,
            platform = %task.revocation.account,
            platform_user = task.revocation.platform_user_id,
            task = task.id.row,
            error = why,
            "a grant could not be given back and is given up: revoke it at the platform"
        );
        Ok((ours, "dead"))
    }
}

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TryError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("open the token")]
    Ciphertext(#[from] VaultError),
    #[error(transparent)]
    Platform(#[from] RevokeError),
    #[error("renew the access token")]
    Renew(#[from] RefreshError),
    #[error("ask whose tokens they are")]
    Owner(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another worker has the revocation by now")]
    LeaseLost,
    #[error("the platform took too long")]
    TooSlow(#[from] Elapsed),
}

/// How long one try may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The queue gives up after so many.
const TRIES: u32 = 8;
