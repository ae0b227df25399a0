//! What an exchange brings belongs to nobody before its link is stored. So its revocation is queued first, and the transaction that
//! stores the link withdraws it: whatever fails in between, this process too, ends with the revocation.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Clock, Entropy};
use platforms::{ExchangeError, ExchangeRequest, Grant};
use protocol::account::AccountType;
use protocol::fault::chain;
use protocol::id::{JobId, UserId};
use store::vault::Vault;
use store::{Revocation, RevokeScope, Store, StoreError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::AccountService;
use super::connect::ConnectError;
use crate::call::Call;
use crate::metrics::Metrics;
use crate::platform::{Offered, encrypt_tokens};

/// What a platform has issued.
pub(super) struct Issued {
    pub(super) grant: Grant,
    /// Gives it back, whoever it belongs to; none where there are no tokens.
    pub(super) revocation: Option<Revocation>,
    /// Resolves when the revocation is queued. Before that nothing may be linked.
    pub(super) queued: oneshot::Receiver<Result<(), NotQueued>>,
}

/// The revocation of what was issued is not queued: a link could not withdraw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the revocation of what was issued is not queued")]
pub(crate) struct NotQueued;

impl AccountService {
    /// Sends the code. It goes on when the caller gives up waiting: tokens that come too late are given back.
    pub(super) async fn issue(
        &self,
        call: &Call,
        account: AccountType,
        request: &ExchangeRequest,
    ) -> Result<Result<Issued, ExchangeError>, ConnectError> {
        let issuance = Issuance {
            account,
            request: request.clone(),
            user: call.user.clone(),
            job: call.job.clone(),
            deadline: call.deadline,
            offered: self.offered.clone(),
            store: Arc::clone(&self.store),
            vault: Arc::clone(&self.vault),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: self.metrics.clone(),
        };
        let (tell, told) = oneshot::channel();
        self.tasks.each("exchange", issuance.run(tell));
        match timeout_at(call.patience(), told).await {
            Ok(issued) => issued.map_err(ConnectError::Cut),
            Err(elapsed) => Ok(Err(ExchangeError::Unknown(account, elapsed.into()))),
        }
    }
}

/// Waits until the revocation of what was issued is queued.
pub(super) async fn is_queued(call: &Call, queued: oneshot::Receiver<Result<(), NotQueued>>) -> Result<(), NotQueued> {
    match timeout_at(call.patience(), queued).await {
        Ok(Ok(queued)) => queued,
        Ok(Err(_)) | Err(_) => Err(NotQueued),
    }
}

struct Issuance {
    account: AccountType,
    request: ExchangeRequest,
    user: UserId,
    job: JobId,
    /// When the job can link nothing any more.
    deadline: Instant,
    offered: Offered,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

impl Issuance {
    async fn run(self, tell: oneshot::Sender<Result<Issued, ExchangeError>>) {
        let grant = match self.exchange().await {
            Ok(grant) => grant,
            Err(error) => {
                drop(tell.send(Err(error)));
                return;
            }
        };
        let revocation = self.revocation(&grant);
        let (tell_queued, queued) = oneshot::channel();
        let issued = Issued {
            grant,
            revocation: revocation.clone(),
            queued,
        };
        drop(tell.send(Ok(issued)));
        let queued = match revocation {
            Some(revocation) => self.queue(&revocation).await,
            None => Ok(()),
        };
        let _nobody_waits = tell_queued.send(queued);
    }

    async fn exchange(&self) -> Result<Grant, ExchangeError> {
        let unknown = |error: Box<dyn std::error::Error + Send + Sync>| ExchangeError::Unknown(self.account, error);
        let platform = self.offered.get(self.account).map_err(|error| unknown(error.into()))?;
        let exchanged = timeout(PATIENCE, platform.exchange(&self.request)).await;
        exchanged.unwrap_or_else(|elapsed| Err(unknown(elapsed.into())))
    }

    /// Nobody knows yet whose tokens they are: they alone are given back, other links of that account may live.
    fn revocation(&self, grant: &Grant) -> Option<Revocation> {
        let tokens = grant.tokens.as_ref()?;
        let sealed = encrypt_tokens(&self.vault, self.clock.now().into(), &self.user, self.account, tokens);
        Some(Revocation {
            scope: RevokeScope::Token,
            ..sealed.revocation(self.account, String::new())
        })
    }

    /// Nobody else has these tokens, so a store that is away is asked until it is back.
    async fn queue(&self, revocation: &Revocation) -> Result<(), NotQueued> {
        let until = Instant::now() + KEPT_FOR;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let after = self.deadline.saturating_duration_since(Instant::now()) + GRACE;
            let queued = self
                .store
                .queue_provisional_revocation((&self.user, &self.job), revocation, after);
            match queued.await {
                Ok(()) => return Ok(()),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. }))
                    if Instant::now() < until =>
                {
                    tracing::warn!(
                        error = chain(&error),
                        "the revocation of what was issued is not queued yet"
                    );
                    sleep(backoff.next(&*self.entropy)).await;
                }
                Err(error) => {
                    self.give_up(&error);
                    return Err(NotQueued);
                }
            }
        }
    }

    fn give_up(&self, error: &StoreError) {
        self.metrics.revocation(self.account, "dead");
        tracing::error!(
            user = %self.user,
            platform = %self.account,
            error = chain(error),
            "the revocation of what was issued could not be queued: revoke it at the platform"
        );
    }
}

/// How long a platform may take: longer than its HTTP client waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the job's end what it has not linked is given back: longer than a commit that it sent in time may take.
const GRACE: Duration = Duration::from_secs(5);

/// How long tokens wait for a store that is away.
const KEPT_FOR: Duration = Duration::from_mins(10);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
