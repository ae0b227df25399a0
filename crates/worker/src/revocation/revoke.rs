//! One try to give a grant back.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use platforms::{RevokeError, Scope};
use protocol::fault::chain;
use store::vault::{Vault, VaultError};
use store::{Pauses, Queue, RevokeScope, StoreError, Task};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::pause::pause;
use crate::account::{NotOffered, Offered, token_binding};
use crate::metrics::Metrics;
use crate::throttle;

/// Tries revocations.
pub(super) struct Revoker {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) pauses: Arc<dyn Pauses>,
    pub(super) offered: Offered,
    pub(super) vault: Arc<Vault>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Metrics,
}

impl Revoker {
    /// Tries a leased revocation, and tells the queue how it went.
    pub(super) async fn revoke(&self, task: Task) {
        let account = task.revocation.account;
        let told = match self.try_once(&task).await {
            Ok(()) => self.queue.finish_task(&task.id).await.map(|ours| (ours, "done")),
            Err(error) => self.put_back(&task, &error).await,
        };
        match told {
            Ok((true, outcome)) => self.metrics.revocation(account, outcome),
            Ok((false, _)) => self.metrics.revocation(account, "lost"),
            // The lease ends by itself and the revocation is tried again, which is harmless.
            Err(error) => tracing::warn!(error = chain(&error), "the outcome of a revocation is not recorded"),
        }
    }

    async fn try_once(&self, task: &Task) -> Result<(), TryError> {
        let revocation = &task.revocation;
        let platform = self.offered.get(revocation.account)?;
        let binding = token_binding(&task.user, revocation.account, revocation.column);
        let token = self.vault.open(&binding, &revocation.token)?;
        let scope = match revocation.scope {
            RevokeScope::Grant => Scope::Grant,
            RevokeScope::Token => Scope::Token,
        };
        Ok(timeout(PATIENCE, platform.revoke(&token, scope)).await??)
    }

    async fn put_back(&self, task: &Task, error: &TryError) -> Result<(bool, &'static str), StoreError> {
        let after = match error {
            TryError::Platform(RevokeError::Throttled { wait, pause, .. }) => {
                let platform = task.revocation.account;
                throttle::heed(&*self.pauses, &self.metrics, platform, (*wait, *pause)).await;
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
enum TryError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("open the token")]
    Sealed(#[from] VaultError),
    #[error(transparent)]
    Platform(#[from] RevokeError),
    #[error("the platform took too long")]
    TooSlow(#[from] Elapsed),
}

/// How long one try may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The queue gives up after so many.
const TRIES: u32 = 8;
