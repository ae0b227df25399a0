//! One attempt to revoke a grant, and its dead-lettering after the last.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, Entropy};
use platforms::{ApiError, RefreshError, RevokeError, RevokeOutcome};
use protocol::code::ErrorCode;
use protocol::fault::{Fault, chain};
use store::vault::{Vault, VaultError};
use store::{Accounts, Pauses, StoreError, Task, TaskQueue};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tracing::Span;

use super::retry_delay::retry_delay;
use crate::metrics::{Metrics, RevocationLabel};
use crate::outage::is_logged;
use crate::platform::{NotOffered, Offered, rate_limit};
use crate::trace::record_failure;

/// Attempts revocations.
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
    /// Attempts a leased revocation, and stores its outcome in the queue.
    pub(super) async fn revoke(&self, task: Task) {
        let account = task.revocation.account;
        let attempted = timeout(TIMEOUT, self.end(&task)).await;
        let stored = match attempted.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(revoked) => self.finish(&task, revoked).await,
            Err(error) => {
                record_failure(&Span::current(), &error);
                self.schedule_retry(&task, &error).await
            }
        };
        match stored {
            Ok((true, outcome)) => self.metrics.revocation(account, outcome),
            Ok((false, _)) => self.metrics.revocation(account, RevocationLabel::Lost),
            // The lease expires and the revocation is attempted again, which is harmless.
            Err(error) => tracing::warn!(
                error = chain(&error),
                "revocation outcome not stored, attempting again after its lease"
            ),
        }
    }

    /// Removes the revocation from the queue, also where the platform does not know the token: another attempt would not change that.
    async fn finish(&self, task: &Task, revoked: RevokeOutcome) -> Result<(bool, RevocationLabel), StoreError> {
        let ours = self.queue.finish_task(&task.id).await?;
        if revoked == RevokeOutcome::Ended {
            return Ok((ours, RevocationLabel::Done));
        }
        tracing::warn!(
            user = %task.user,
            platform = %task.revocation.account,
            platform_user = task.revocation.platform_user_id,
            task = task.id.row,
            "revocation ended, platform does not know the token: whether its grant has ended is unknown"
        );
        Ok((ours, RevocationLabel::UnknownToken))
    }

    async fn schedule_retry(&self, task: &Task, error: &AttemptError) -> Result<(bool, RevocationLabel), StoreError> {
        let after = match error {
            AttemptError::Platform(RevokeError::Throttled { wait, pause, .. })
            | AttemptError::Renew(RefreshError::Throttled { wait, pause, .. })
            | AttemptError::Owner(ApiError::Throttled { wait, pause, .. }) => {
                let platform = task.revocation.account;
                rate_limit::apply(&*self.pauses, &self.metrics, platform, (*wait, *pause)).await;
                *wait
            }
            _ => retry_delay(task.tries, &*self.entropy),
        };
        let why = chain(error);
        let ours = self.queue.retry_task(&task.id, after, &why).await?;
        if task.tries + 1 < MAX_ATTEMPTS {
            let (code, user, platform) = (error.code().as_str(), &task.user, task.revocation.account);
            if is_logged(error) {
                tracing::debug!(code, %user, %platform, error = why, "revocation failed, retrying");
            } else {
                tracing::warn!(code, %user, %platform, error = why, "revocation failed, retrying");
            }
            return Ok((ours, RevocationLabel::Retried));
        }
        tracing::error!(
            user = %task.user,
            platform = %task.revocation.account,
            platform_user = task.revocation.platform_user_id,
            task = task.id.row,
            error = why,
            "revocation dead-lettered after its last attempt: revoke the grant at the platform"
        );
        Ok((ours, RevocationLabel::Dead))
    }
}

/// Error of an attempt.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("decrypt the tokens")]
    Decrypt(#[from] VaultError),
    #[error(transparent)]
    Platform(#[from] RevokeError),
    #[error("refresh the access token")]
    Renew(#[from] RefreshError),
    #[error("read the owner of the tokens")]
    Owner(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the lease of the revocation was lost")]
    LeaseLost,
    #[error("the attempt timed out")]
    TimedOut(#[from] Elapsed),
}

impl Fault for AttemptError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Decrypt(error) => error.code(),
            Self::Platform(RevokeError::Throttled { .. }) | Self::Renew(RefreshError::Throttled { .. }) => {
                ErrorCode::PlatformRateLimited
            }
            Self::Platform(_) | Self::Renew(_) | Self::TimedOut(_) => ErrorCode::PlatformUnavailable,
            Self::Owner(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::LeaseLost => ErrorCode::Conflict,
        }
    }
}

/// Limit of one attempt.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts until a revocation is dead-lettered.
const MAX_ATTEMPTS: u32 = 8;
