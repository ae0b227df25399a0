//! Provisional revocation of issued tokens: queued as soon as a code is exchanged, and withdrawn by the transaction that stores the
//! link. Any failure in between, a crash of this process too, ends with the revocation of the tokens.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Clock, Entropy};
use platforms::{ExchangeError, ExchangeRequest, Grant};
use protocol::account::AccountType;
use protocol::fault::chain;
use protocol::id::{JobId, UserId};
use store::vault::Vault;
use store::{Revocation, RevokeScope, StoreError, TaskQueue};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument;

use super::AccountService;
use super::connect_error::{ConnectError, NotQueued};
use crate::call::Call;
use crate::metrics::{Metrics, RevocationLabel};
use crate::platform::{Offered, encrypt_tokens};
use crate::trace::task_span;

/// Grant that a platform has issued.
pub(super) struct IssuedGrant {
    pub(super) grant: Grant,
    /// Revocation of the grant; none where there are no tokens.
    pub(super) revocation: Option<Revocation>,
    /// Resolves when the revocation is queued. Nothing may be linked before.
    pub(super) queued: oneshot::Receiver<Result<(), NotQueued>>,
}

impl AccountService {
    /// Sends the code in a task of its own, which continues when the caller stops waiting: tokens that arrive too late are revoked.
    pub(super) async fn issue(
        &self,
        call: &Call,
        account: AccountType,
        request: &ExchangeRequest,
    ) -> Result<Result<IssuedGrant, ExchangeError>, ConnectError> {
        let issuance = Issuance {
            account,
            request: request.clone(),
            user: call.user.clone(),
            job: call.job.clone(),
            deadline: call.deadline,
            offered: self.offered.clone(),
            queue: Arc::clone(&self.revocations),
            vault: Arc::clone(&self.vault),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: self.metrics.clone(),
        };
        let (issued, receive) = oneshot::channel();
        let exchange = issuance.run(issued).instrument(task_span("exchange code"));
        self.tasks.each("exchange", exchange);
        match timeout_at(call.platform_deadline(), receive).await {
            Ok(issued) => issued.map_err(ConnectError::Cut),
            Err(elapsed) => Ok(Err(ExchangeError::Unknown(account, elapsed.into()))),
        }
    }
}

/// Waits until the revocation of the issued grant is queued.
pub(super) async fn is_queued(call: &Call, queued: oneshot::Receiver<Result<(), NotQueued>>) -> Result<(), NotQueued> {
    match timeout_at(call.platform_deadline(), queued).await {
        Ok(Ok(queued)) => queued,
        Ok(Err(_)) | Err(_) => Err(NotQueued),
    }
}

struct Issuance {
    account: AccountType,
    request: ExchangeRequest,
    user: UserId,
    job: JobId,
    /// Deadline of the job, after which it links nothing.
    deadline: Instant,
    offered: Offered,
    queue: Arc<dyn TaskQueue>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

impl Issuance {
    async fn run(self, result: oneshot::Sender<Result<IssuedGrant, ExchangeError>>) {
        let grant = match self.exchange().await {
            Ok(grant) => grant,
            Err(error) => {
                drop(result.send(Err(error)));
                return;
            }
        };
        let revocation = self.revocation(&grant);
        let (report_queued, queued) = oneshot::channel();
        let issued = IssuedGrant {
            grant,
            revocation: revocation.clone(),
            queued,
        };
        drop(result.send(Ok(issued)));
        let queued = match revocation {
            Some(revocation) => self.queue(&revocation).await,
            None => Ok(()),
        };
        let _receiver_may_be_gone = report_queued.send(queued);
    }

    async fn exchange(&self) -> Result<Grant, ExchangeError> {
        let unknown = |error: Box<dyn std::error::Error + Send + Sync>| ExchangeError::Unknown(self.account, error);
        let platform = self.offered.get(self.account).map_err(|error| unknown(error.into()))?;
        let exchanged = timeout(EXCHANGE_TIMEOUT, platform.exchange(&self.request)).await;
        exchanged.unwrap_or_else(|elapsed| Err(unknown(elapsed.into())))
    }

    /// Revocation of these tokens alone: their owner is not known yet, and other links of that account may exist.
    fn revocation(&self, grant: &Grant) -> Option<Revocation> {
        let tokens = grant.tokens.as_ref()?;
        let sealed = encrypt_tokens(&self.vault, self.clock.now().into(), &self.user, self.account, tokens);
        Some(Revocation {
            scope: RevokeScope::Token,
            ..sealed.revocation(self.account, String::new())
        })
    }

    /// Queues the revocation, retrying while the store is unavailable: only this process has these tokens.
    async fn queue(&self, revocation: &Revocation) -> Result<(), NotQueued> {
        let until = Instant::now() + KEPT_FOR;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failures = 0_u32;
        loop {
            let after = self.deadline.saturating_duration_since(Instant::now()) + GRACE;
            let queued = self
                .queue
                .queue_provisional_revocation((&self.user, &self.job), revocation, after);
            match queued.await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(failures, "provisional revocation queued after retries");
                    }
                    return Ok(());
                }
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. }))
                    if Instant::now() < until =>
                {
                    if failures == 0 {
                        tracing::warn!(error = chain(&error), "provisional revocation not queued, retrying");
                    }
                    failures += 1;
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
        self.metrics.revocation(self.account, RevocationLabel::Dead);
        tracing::error!(
            user = %self.user,
            platform = %self.account,
            error = chain(error),
            "provisional revocation not queued, giving up: revoke the grant at the platform"
        );
    }
}

/// Limit of an exchange: longer than the timeout of the HTTP client.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay from the job's deadline to the revocation: longer than a commit that was sent in time may take.
const GRACE: Duration = Duration::from_secs(5);

/// Maximum time that tokens wait for an unavailable store.
const KEPT_FOR: Duration = Duration::from_mins(10);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
