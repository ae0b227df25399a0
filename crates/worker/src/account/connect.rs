//! `account:connect`: an authorization code becomes a linked account.

use platforms::ExchangeRequest;
use protocol::account::{AccountStatus, AccountType, StatusChanged, StatusMetadata};
use protocol::cluster::job::JobOutcome;
use protocol::command::Connect;
use protocol::event::Event;
use protocol::fault::chain;
use protocol::secret::Secret;
use store::{RefusedLink, Revocation, WriteOutcome};

use super::AccountService;
use super::connect_error::ConnectError;
use super::exchange::{CodeToExchange, FailedExchange};
use super::link::{LinkStart, StartedBy};
use crate::call::Call;
use crate::settings::ConnectState;

impl AccountService {
    pub(crate) async fn connect(&self, call: &Call, payload: &Connect) -> Result<JobOutcome, ConnectError> {
        let account = payload.account_type;
        let platform = self.offered.get(account)?;
        self.redirects.check(account, &payload.redirect_uri)?;
        let _permit = self.permits.exchanges.acquire(call, account).await?;
        let start = self.connect_start(call, payload).await?;
        let linked = self.accounts.credentials(&call.user, account).await?;
        let presented = CodeToExchange {
            platform,
            code: &payload.oauth_code,
            state: payload.state.as_ref(),
        };
        self.begin_exchange(call, &presented).await?;

        let request = ExchangeRequest {
            code: payload.oauth_code.clone(),
            redirect_uri: payload.redirect_uri.clone(),
            verifier: start.verifier,
        };
        match self.obtain(call, platform, &request).await {
            Ok(granted) => {
                let linked = linked.map(|linked| linked.account);
                self.link(call, start.at, linked, granted).await
            }
            Err(FailedExchange { error, revocation }) => self.refuse(call, account, error, revocation).await,
        }
    }

    /// Finds the start of this connect: an `account:authorize`, whose state it consumes, or the application itself.
    async fn connect_start(&self, call: &Call, payload: &Connect) -> Result<ConnectStart, ConnectError> {
        let (user, session, account) = (&call.user, &call.session, payload.account_type);
        let Some(state) = &payload.state else {
            let required = self.connect_state == ConnectState::Required
                || self.authorizations.is_pending(user, session, account).await?;
            if required {
                return Err(ConnectError::StateMissing);
            }
            return Ok(ConnectStart {
                verifier: payload.code_verifier.clone(),
                at: LinkStart {
                    by: StartedBy::Application,
                    access_epoch: self.accounts.access_epoch(user).await?,
                    pending_link: None,
                },
            });
        };
        let authorization = self.authorizations.take(user, session, account, state).await?;
        if authorization.redirect_uri != payload.redirect_uri {
            return Err(ConnectError::OtherRedirect);
        }
        Ok(ConnectStart {
            verifier: Some(authorization.verifier),
            at: LinkStart {
                by: StartedBy::Session,
                access_epoch: authorization.access_epoch,
                pending_link: None,
            },
        })
    }

    /// Commits the failure of an exchange, and status `error` for all devices.
    pub(super) async fn refuse(
        &self,
        call: &Call,
        account: AccountType,
        error: ConnectError,
        revocation: Option<Revocation>,
    ) -> Result<JobOutcome, ConnectError> {
        let failure = call.failure(&error);
        let change = StatusChanged {
            metadata: Some(StatusMetadata {
                error_message: Some(failure.message.clone()),
                last_synced: None,
            }),
            ..StatusChanged::plain(&call.user, account, AccountStatus::Error, self.now())
        };
        let refused = RefusedLink {
            user: call.user.clone(),
            account,
            error: failure.error,
            event: call.envelope("refused", &Event::StatusChanged(change)),
            revocation,
        };
        let receipt = call.receipt(&JobOutcome::from(&failure));
        match self.accounts.refuse_link(&refused, &receipt).await {
            Ok(WriteOutcome::Committed) => Err(error),
            Ok(WriteOutcome::Repeated(answer)) => Ok(call.recall(&answer)?),
            Err(unwritten) => {
                // The client still receives the platform's failure: nothing stored depends on it.
                tracing::warn!(error = chain(&unwritten), "refused link not recorded");
                Err(error)
            }
        }
    }
}

/// Start of a connect.
struct ConnectStart {
    verifier: Option<Secret>,
    at: LinkStart,
}
