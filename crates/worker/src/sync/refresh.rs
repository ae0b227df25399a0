//! New tokens for a refresh token.
//!
//! Most platforms take a refresh token once, and end the grant when they see it again. Each sending is committed before it is done,
//! whoever does it; where nobody knows what became of it, it is sent once more and never again.

use std::error::Error;
use std::time::Duration;

use lifecycle::Backoff;
use platforms::{RefreshError, Tokens};
use protocol::fault::chain;
use protocol::security::AlertType;
use store::{Credentials, Refresh, RefreshOutcome, RefreshStart, RefreshedTokens, StoreError, SyncLease, TokenColumn};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{SyncFailure, Syncer};
use crate::platform::{encrypt_tokens, token_binding};

impl Syncer {
    /// The account with new tokens, committed. It goes on when the caller gives up waiting: tokens that only this worker has would be
    /// lost with it, and the link with them.
    pub(super) async fn refresh(&self, lease: &SyncLease, found: &Credentials) -> Result<Credentials, SyncFailure> {
        let (tell, told) = oneshot::channel();
        let (worker, lease, found) = (self.clone(), lease.clone(), found.clone());
        self.tasks.each("refresh", async move {
            drop(tell.send(worker.refresh_to_the_end(&lease, found).await));
        });
        told.await.unwrap_or(Err(SyncFailure::Superseded))
    }

    async fn refresh_to_the_end(&self, lease: &SyncLease, found: Credentials) -> Result<Credentials, SyncFailure> {
        let platform = self.offered.get(lease.account)?;
        let Some(sealed) = found.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref()) else {
            return self.lost_or_moved(lease, &found, AlertType::TokenExpired).await;
        };
        let binding = token_binding(&lease.user, lease.account, TokenColumn::Refresh);
        let token = self.vault.decrypt(&binding, sealed)?;
        loop {
            let sending = Refresh {
                lease: lease.clone(),
                generation: found.generation,
                sending: i64::from_le_bytes(self.entropy.bytes()),
            };
            let is_last = match self.begin_refresh(&sending).await? {
                RefreshStart::Send => false,
                RefreshStart::SendLast => true,
                RefreshStart::Spent => return self.lost_or_moved(lease, &found, AlertType::RefreshFailed).await,
                RefreshStart::TokensReplaced => return self.read_again(lease).await,
                RefreshStart::Paused(wait) => return Err(SyncFailure::Paused(wait)),
                RefreshStart::Superseded => return Err(SyncFailure::Superseded),
            };
            let asked = timeout(PATIENCE, platform.refresh(&token)).await;
            let unknown = |why: Box<dyn Error + Send + Sync>| RefreshError::Unknown(lease.account, why);
            let asked = asked.unwrap_or_else(|elapsed| Err(unknown(elapsed.into())));
            let asked = asked.and_then(|grant| grant.tokens.ok_or_else(|| unknown("no tokens came".into())));
            self.metrics.refresh(lease.account, label(&asked));
            match asked {
                Ok(tokens) => return self.keep_tokens(lease, found, &tokens).await,
                Err(RefreshError::Refused(_)) => {
                    return self.lost_or_moved(lease, &found, AlertType::TokenExpired).await;
                }
                Err(error @ RefreshError::Unknown(..)) => {
                    tracing::warn!(platform = %lease.account, error = chain(&error), "nobody knows what became of a refresh");
                    if is_last {
                        return self.lost_or_moved(lease, &found, AlertType::RefreshFailed).await;
                    }
                    sleep(BEFORE_SENDING_AGAIN).await;
                }
                Err(error) => {
                    self.store.undo_refresh(&sending).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// A commit whose answer was lost is asked for again: the same sending counts once.
    async fn begin_refresh(&self, sending: &Refresh) -> Result<RefreshStart, StoreError> {
        match self.store.begin_refresh(sending).await {
            Err(StoreError::Unknown { .. }) => self.store.begin_refresh(sending).await,
            begun => begun,
        }
    }

    /// Commits new tokens, before anybody uses them. Nobody else has them, so a store that is away is asked until it is back.
    async fn keep_tokens(
        &self,
        lease: &SyncLease,
        found: Credentials,
        issued: &Tokens,
    ) -> Result<Credentials, SyncFailure> {
        let mut tokens = encrypt_tokens(&self.vault, self.now(), &lease.user, lease.account, issued);
        // A platform that does not rotate leaves it out.
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
        loop {
            match self.store.finish_refresh(&refreshed).await {
                Ok(RefreshOutcome::Stored(generation)) => {
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
                    tracing::warn!(error = chain(&error), "new tokens are not stored yet");
                    sleep(backoff.next(&*self.entropy)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The link is lost, unless the account has other tokens by now.
    async fn lost_or_moved(
        &self,
        lease: &SyncLease,
        found: &Credentials,
        kind: AlertType,
    ) -> Result<Credentials, SyncFailure> {
        match self.lose(lease, found, kind).await? {
            Some(now) => Ok(now),
            None => Err(SyncFailure::Disconnected(lease.account)),
        }
    }

    pub(super) async fn read_again(&self, lease: &SyncLease) -> Result<Credentials, SyncFailure> {
        let found = self.store.credentials(&lease.user, lease.account).await?;
        found.ok_or(SyncFailure::Superseded)
    }
}

fn label(asked: &Result<Tokens, RefreshError>) -> &'static str {
    match asked {
        Ok(_) => "granted",
        Err(RefreshError::Refused(_)) => "refused",
        Err(RefreshError::Unknown(..)) => "unknown",
        Err(RefreshError::NotSent(..)) => "not_sent",
        Err(RefreshError::Throttled { .. }) => "throttled",
    }
}

/// How long a platform may take. It is asked once more at most, so it is given time.
const PATIENCE: Duration = Duration::from_secs(10);

const BEFORE_SENDING_AGAIN: Duration = Duration::from_secs(1);

/// How long tokens wait for a store that is away.
const KEPT_FOR: Duration = Duration::from_mins(10);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
