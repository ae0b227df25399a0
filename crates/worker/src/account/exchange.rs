//! The one exchange of a code, and whose tokens it brought.

use std::future::Future;

use platforms::{ApiError, ExchangeError, ExchangeRequest, Grant, Platform, Profile};
use protocol::account::AccountType;
use protocol::fault::Fault;
use protocol::secret::Secret;
use store::{Exchange, ExchangeStart, Revocation};
use tokio::time::{error::Elapsed, timeout_at};

use super::AccountService;
use super::authorization::state_hash;
use super::connect::ConnectError;
use super::link::Granted;
use super::provisional_revocation::{Issued, is_queued};
use crate::call::{Call, digest};
use crate::platform::rate_limit;

/// A code on its way to its platform.
pub(super) struct Presented<'a> {
    pub(super) platform: &'a dyn Platform,
    pub(super) code: &'a Secret,
    /// The state that it came with, where it was begun here.
    pub(super) state: Option<&'a Secret>,
}

/// Why a platform gave nothing that can be linked.
pub(super) struct Withheld {
    pub(super) error: ConnectError,
    /// What it issued all the same.
    pub(super) revocation: Option<Revocation>,
}

impl Withheld {
    fn nothing(error: ConnectError) -> Self {
        Self {
            error,
            revocation: None,
        }
    }
}

impl AccountService {
    /// Records that the code is about to be sent. A code is sent by one run of one job, ever: a platform that sees it twice may
    /// revoke what it issued (RFC 6749 section 4.1.2), so whoever finds it begun has to start again.
    pub(super) async fn begin_exchange(&self, call: &Call, presented: &Presented<'_>) -> Result<(), ConnectError> {
        let exchange = Exchange {
            user: call.user.clone(),
            session: call.session.clone(),
            account: presented.platform.account_type(),
            code_hash: self.code_hash(call, presented),
            state_hash: presented.state.map(state_hash),
        };
        match self.store.begin_exchange(&exchange).await? {
            ExchangeStart::First => Ok(()),
            ExchangeStart::Spent => Err(ConnectError::Spent),
            ExchangeStart::Paused(wait) => Err(ConnectError::Paused(wait)),
        }
    }

    /// A code that may be presented again is another one in each job, and still one within its job.
    fn code_hash(&self, call: &Call, presented: &Presented<'_>) -> [u8; 32] {
        let code = presented.platform.code_id(presented.code);
        let platform = presented.platform.account_type().as_str().as_bytes();
        match &self.repeatable_codes {
            Some(prefix) if code.starts_with(prefix.as_str()) => {
                digest([platform, code.as_bytes(), call.job.as_str().as_bytes()])
            }
            _ => digest([platform, code.as_bytes()]),
        }
    }

    /// Sends the code, and asks whose the tokens are that it brings. From then on they are given back unless they are linked.
    pub(super) async fn obtain(
        &self,
        call: &Call,
        platform: &dyn Platform,
        request: &ExchangeRequest,
    ) -> Result<Granted, Withheld> {
        let account = platform.account_type();
        let Issued {
            grant,
            revocation,
            queued,
        } = self.exchange(call, account, request).await.map_err(Withheld::nothing)?;
        let (owner, queued) = tokio::join!(self.owner(call, platform, &grant), is_queued(call, queued));
        let error = match (owner, queued) {
            (Ok(profile), Ok(())) => {
                return Ok(Granted {
                    account,
                    grant,
                    profile,
                });
            }
            (Err(error), _) => error.into(),
            (Ok(_), Err(error)) => error.into(),
        };
        Err(Withheld { error, revocation })
    }

    /// Sends the code.
    async fn exchange(
        &self,
        call: &Call,
        account: AccountType,
        request: &ExchangeRequest,
    ) -> Result<Issued, ConnectError> {
        let exchanged = self.issue(call, account, request).await?;
        let outcome = exchanged
            .as_ref()
            .map_or_else(|error| error.code().as_str(), |_| "granted");
        self.metrics.exchange(account, outcome);
        if let Err(ExchangeError::Throttled { wait, pause, .. }) = &exchanged {
            rate_limit::heed(&*self.store, &self.metrics, account, (*wait, *pause)).await;
        }
        Ok(exchanged?)
    }

    /// Who granted it: as the grant says, or whoever the platform says its tokens belong to. It is asked twice when it does not
    /// answer, for the code cannot be sent again.
    async fn owner(&self, call: &Call, platform: &dyn Platform, grant: &Grant) -> Result<Profile, ApiError> {
        let account = platform.account_type();
        let tokens = match (&grant.owner, &grant.tokens) {
            (Some(owner), _) => return Ok(owner.clone()),
            (None, Some(tokens)) => tokens,
            (None, None) => return Err(ApiError::Refused(account)),
        };
        let answered = match in_time(call, account, platform.profile(tokens)).await {
            Err(ApiError::Unavailable(..)) => in_time(call, account, platform.profile(tokens)).await,
            answered => answered,
        };
        if let Err(ApiError::Throttled { wait, pause, .. }) = &answered {
            rate_limit::heed(&*self.store, &self.metrics, account, (*wait, *pause)).await;
        }
        answered
    }
}

/// The platform's answer, as long as there is time to store what it says.
pub(super) async fn in_time<T>(
    call: &Call,
    account: AccountType,
    asking: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let too_slow = |elapsed: Elapsed| Err(ApiError::Unavailable(account, elapsed.into()));
    timeout_at(call.patience(), asking).await.unwrap_or_else(too_slow)
}
