//! Exchange of an authorization code, once, and the owner of the tokens that it returned.

use std::future::Future;

use platforms::{ApiError, ExchangeError, ExchangeRequest, Grant, Platform, Profile};
use protocol::account::AccountType;
use protocol::secret::Secret;
use store::{Exchange, ExchangeStart, Revocation};
use tokio::time::{error::Elapsed, timeout_at};

use super::AccountService;
use super::authorization::state_hash;
use super::connect_error::ConnectError;
use super::link::GrantedAccount;
use super::provisional_revocation::{IssuedGrant, is_queued};
use crate::call::{Call, digest};
use crate::metrics::ExchangeLabel;
use crate::outage::log_unavailable_platform;
use crate::platform::rate_limit;

/// Authorization code to be sent to its platform.
pub(super) struct CodeToExchange<'a> {
    pub(super) platform: &'a dyn Platform,
    pub(super) code: &'a Secret,
    /// State that came with the code, where `account:authorize` started the authorization.
    pub(super) state: Option<&'a Secret>,
}

/// Exchange that returned nothing to link.
pub(super) struct FailedExchange {
    pub(super) error: ConnectError,
    /// Revocation of tokens that the platform issued nevertheless.
    pub(super) revocation: Option<Revocation>,
}

impl FailedExchange {
    fn nothing(error: ConnectError) -> Self {
        Self {
            error,
            revocation: None,
        }
    }
}

impl AccountService {
    /// Records that the code is about to be sent. A code is sent at most once, by one run of one job: a platform that receives it twice
    /// may revoke the tokens it issued (RFC 6749 section 4.1.2), so a job that finds the record has the client start again.
    pub(super) async fn begin_exchange(&self, call: &Call, presented: &CodeToExchange<'_>) -> Result<(), ConnectError> {
        let exchange = Exchange {
            user: call.user.clone(),
            session: call.session.clone(),
            account: presented.platform.account_type(),
            code_hash: self.code_hash(call, presented),
            state_hash: presented.state.map(state_hash),
        };
        match self.accounts.begin_exchange(&exchange).await? {
            ExchangeStart::First => Ok(()),
            ExchangeStart::Spent => Err(ConnectError::Spent),
            ExchangeStart::Paused(wait) => Err(ConnectError::Paused(wait)),
        }
    }

    /// Hash of the code; a repeatable code is hashed with its job, so that it is unique per job.
    fn code_hash(&self, call: &Call, presented: &CodeToExchange<'_>) -> [u8; 32] {
        let code = presented.platform.code_id(presented.code);
        let platform = presented.platform.account_type().as_str().as_bytes();
        match &self.repeatable_codes {
            Some(prefix) if code.starts_with(prefix.as_str()) => {
                digest([platform, code.as_bytes(), call.job.as_str().as_bytes()])
            }
            _ => digest([platform, code.as_bytes()]),
        }
    }

    /// Sends the code and reads the owner of the tokens. From then on they are revoked unless they are linked.
    pub(super) async fn obtain(
        &self,
        call: &Call,
        platform: &dyn Platform,
        request: &ExchangeRequest,
    ) -> Result<GrantedAccount, FailedExchange> {
        let account = platform.account_type();
        let IssuedGrant {
            grant,
            revocation,
            queued,
        } = self
            .exchange(call, account, request)
            .await
            .map_err(FailedExchange::nothing)?;
        let (owner, queued) = tokio::join!(self.owner(call, platform, &grant), is_queued(call, queued));
        let error = match (owner, queued) {
            (Ok(profile), Ok(())) => {
                return Ok(GrantedAccount {
                    account,
                    grant,
                    profile,
                });
            }
            (Err(error), _) => error.into(),
            (Ok(_), Err(error)) => error.into(),
        };
        Err(FailedExchange { error, revocation })
    }

    /// Sends the code, counts the outcome and applies a rate limit.
    async fn exchange(
        &self,
        call: &Call,
        account: AccountType,
        request: &ExchangeRequest,
    ) -> Result<IssuedGrant, ConnectError> {
        let exchanged = self.issue(call, account, request).await?;
        let outcome = match &exchanged {
            Ok(_) => ExchangeLabel::Granted,
            // The client reads `oauth_failed`, since the code is consumed; the cause is the platform, which hung or failed.
            Err(error @ ExchangeError::Unknown(..)) => {
                log_unavailable_platform(account, error, "authorization code exchange of unknown outcome");
                ExchangeLabel::Unavailable
            }
            Err(ExchangeError::NotSent(..)) => ExchangeLabel::Unavailable,
            Err(ExchangeError::Refused(..)) => ExchangeLabel::Refused,
            Err(ExchangeError::Throttled { .. }) => ExchangeLabel::Throttled,
        };
        self.metrics.exchange(account, outcome);
        if let Err(ExchangeError::Throttled { wait, pause, .. }) = &exchanged {
            rate_limit::apply(&*self.pauses, &self.metrics, account, (*wait, *pause)).await;
        }
        Ok(exchanged?)
    }

    /// Owner of the grant: as the grant names it, or as the platform names the owner of the tokens. A failed call is repeated once,
    /// since the code cannot be sent again.
    async fn owner(&self, call: &Call, platform: &dyn Platform, grant: &Grant) -> Result<Profile, ApiError> {
        let account = platform.account_type();
        let tokens = match (&grant.owner, &grant.tokens) {
            (Some(owner), _) => return Ok(owner.clone()),
            (None, Some(tokens)) => tokens,
            (None, None) => return Err(ApiError::Refused(account)),
        };
        let answered = match within_deadline(call, account, platform.profile(tokens)).await {
            Err(ApiError::Unavailable(..)) => within_deadline(call, account, platform.profile(tokens)).await,
            answered => answered,
        };
        if let Err(ApiError::Throttled { wait, pause, .. }) = &answered {
            rate_limit::apply(&*self.pauses, &self.metrics, account, (*wait, *pause)).await;
        }
        answered
    }
}

/// Response of the platform, if it comes while there is time to store it.
pub(super) async fn within_deadline<T>(
    call: &Call,
    account: AccountType,
    request: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let too_slow = |elapsed: Elapsed| Err(ApiError::Unavailable(account, elapsed.into()));
    timeout_at(call.platform_deadline(), request)
        .await
        .unwrap_or_else(too_slow)
}
