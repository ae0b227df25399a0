//! Token refresh.
//!
//! Most platforms accept a refresh token once, and end the grant when they receive it again. Each attempt is committed before it is
//! sent, by any worker; an attempt of unknown outcome is repeated once and never again.

use std::error::Error;
use std::time::Duration;

use lifecycle::Backoff;
use platforms::{RefreshError, Tokens};
use protocol::fault::chain;
use protocol::security::AlertType;
use store::{Credentials, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, StoreError, SyncLease, TokenColumn};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use super::{SyncFailure, Syncer};
use crate::metrics::RefreshLabel;
use crate::outage::log_unavailable_platform;
use crate::platform::{encrypt_tokens, token_binding};
use crate::trace::task_span;

impl Syncer {
    /// Refreshes the tokens and commits them, in a task of its own, which continues when the caller stops waiting: tokens that only this
    /// worker has would be lost otherwise, and the link with them.
    pub(super) async fn refresh(&self, lease: &SyncLease, found: &Credentials) -> Result<Credentials, SyncFailure> {
        let (refreshed, receive) = oneshot::channel();
        let (worker, lease, found) = (self.clone(), lease.clone(), found.clone());
        let refresh = async move {
            drop(refreshed.send(worker.refresh_and_commit(&lease, found).await));
        };
        self.tasks
            .each("refresh", refresh.instrument(task_span("refresh tokens")));
        receive.await.unwrap_or(Err(SyncFailure::Superseded))
    }

    async fn refresh_and_commit(&self, lease: &SyncLease, found: Credentials) -> Result<Credentials, SyncFailure> {
        let platform = self.offered.get(lease.account)?;
        let Some(sealed) = found.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref()) else {
            return self
                .disconnected_or_replaced(lease, &found, AlertType::TokenExpired)
                .await;
        };
        let binding = token_binding(&lease.user, lease.account, TokenColumn::Refresh);
        let token = self.vault.decrypt(&binding, sealed)?;
        loop {
            let attempt = Refresh {
                lease: lease.clone(),
                generation: found.generation,
                attempt_id: i64::from_le_bytes(self.entropy.bytes()),
            };
            let is_last = match self.begin_refresh(&attempt).await? {
                RefreshStart::Send => false,
                RefreshStart::SendLast => true,
                RefreshStart::Spent => {
                    return self
                        .disconnected_or_replaced(lease, &found, AlertType::RefreshFailed)
                        .await;
                }
                RefreshStart::TokensReplaced => return self.read_again(lease).await,
                RefreshStart::Paused(wait) => return Err(SyncFailure::Paused(wait)),
                RefreshStart::Superseded => return Err(SyncFailure::Superseded),
            };
            let response = timeout(REFRESH_TIMEOUT, platform.refresh(&token)).await;
            let unknown = |why: Box<dyn Error + Send + Sync>| RefreshError::Unknown(lease.account, why);
            let response = response.unwrap_or_else(|elapsed| Err(unknown(elapsed.into())));
            let response = response.and_then(|grant| grant.tokens.ok_or_else(|| unknown("no tokens came".into())));
            self.metrics.refresh(lease.account, label(&response));
            match response {
                Ok(tokens) => return self.store_tokens(lease, found, &tokens).await,
                Err(RefreshError::Refused(_)) => {
                    return self
                        .disconnected_or_replaced(lease, &found, AlertType::TokenExpired)
                        .await;
                }
                Err(error @ RefreshError::Unknown(..)) => {
                    log_unavailable_platform(lease.account, &error, "token refresh of unknown outcome");
                    if is_last {
                        return self
                            .disconnected_or_replaced(lease, &found, AlertType::RefreshFailed)
                            .await;
                    }
                    sleep(BEFORE_REPEATING).await;
                }
                Err(error) => {
                    self.refreshes.undo_refresh(&attempt).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Commits the attempt, again where the result of the commit was lost: the same attempt counts once.
    async fn begin_refresh(&self, attempt: &Refresh) -> Result<RefreshStart, StoreError> {
        match self.refreshes.begin_refresh(attempt).await {
            Err(StoreError::Unknown { .. }) => self.refreshes.begin_refresh(attempt).await,
            started => started,
        }
    }

    /// Commits new tokens before they are used, retrying while the store is unavailable: only this process has them.
    async fn store_tokens(
        &self,
        lease: &SyncLease,
        found: Credentials,
        issued: &Tokens,
    ) -> Result<Credentials, SyncFailure> {
        let mut tokens = encrypt_tokens(&self.vault, self.now(), &lease.user, lease.account, issued);
        // A platform without token rotation omits the refresh token.
        tokens.refresh = tokens.refresh.or_else(|| found.tokens.as_ref()?.refresh.clone());
        let id = found.account.platform_user_id.clone();
        let refreshed = RefreshedTokens {
            lease: lease.clone(),
            generation: found.generation,
            revocation: tokens.clone().revocation(lease.account, id),
            tokens: tokens.clone(),
        };
        let until = Instant::now() + KEPT_FOR;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failures = 0_u32;
        loop {
            match self.refreshes.finish_refresh(&refreshed).await {
                Ok(RefreshOutcome::Stored(generation)) => {
                    if failures > 0 {
                        tracing::info!(failures, "refreshed tokens stored after retries");
                    }
                    return Ok(Credentials {
                        tokens: Some(tokens),
                        generation,
                        ..found
                    });
                }
                Ok(RefreshOutcome::Superseded) => return Err(SyncFailure::Superseded),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. }))
                    if Instant::now() < until =>
                {
                    if failures == 0 {
                        tracing::warn!(error = chain(&error), "refreshed tokens not stored, retrying");
                    }
                    failures += 1;
                    sleep(backoff.next(&*self.entropy)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Marks the link disconnected, unless the account has other tokens by now.
    async fn disconnected_or_replaced(
        &self,
        lease: &SyncLease,
        found: &Credentials,
        kind: AlertType,
    ) -> Result<Credentials, SyncFailure> {
        match self.mark_disconnected(lease, found, kind).await? {
            Some(now) => Ok(now),
            None => Err(SyncFailure::Disconnected(lease.account)),
        }
    }

    pub(super) async fn read_again(&self, lease: &SyncLease) -> Result<Credentials, SyncFailure> {
        let found = self.accounts.credentials(&lease.user, lease.account).await?;
        found.ok_or(SyncFailure::Superseded)
    }
}

fn label(response: &Result<Tokens, RefreshError>) -> RefreshLabel {
    match response {
        Ok(_) => RefreshLabel::Granted,
        Err(RefreshError::Refused(_)) => RefreshLabel::Refused,
        Err(RefreshError::Unknown(..)) => RefreshLabel::Unknown,
        Err(RefreshError::NotSent(..)) => RefreshLabel::NotSent,
        Err(RefreshError::Throttled { .. }) => RefreshLabel::Throttled,
    }
}

/// Limit of a refresh: long, since it is repeated once at most.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before an attempt of unknown outcome is repeated.
const BEFORE_REPEATING: Duration = Duration::from_secs(1);

/// Maximum time that tokens wait for an unavailable store.
const KEPT_FOR: Duration = Duration::from_mins(10);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
