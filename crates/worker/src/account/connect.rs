//! `account:connect`: a code of the platform becomes a linked account.

use std::time::Duration;

use bus::BusError;
use platforms::{ApiError, ExchangeError, ExchangeRequest};
use protocol::account::{AccountStatus, AccountType, StatusChanged, StatusMetadata};
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::Connect;
use protocol::event::Event;
use protocol::fault::{Fault, chain};
use protocol::secret::Secret;
use store::vault::VaultError;
use store::{RefusedLink, Revocation, StoreError, WriteOutcome};
use tokio::sync::oneshot::error::RecvError;

use super::AccountService;
use super::authorization::TakeError;
use super::authorize::redirect_refused;
use super::exchange::{Presented, Withheld};
use super::link::{Beginning, BegunBy};
use super::provisional_revocation::NotQueued;
use crate::call::{Call, RecallError, Refusal, whole_seconds};
use crate::platform::{NotOffered, PlatformBusy};
use crate::settings::ConnectState;

impl AccountService {
    pub(crate) async fn connect(&self, call: &Call, asked: &Connect) -> Result<JobOutcome, ConnectError> {
        let account = asked.account_type;
        let platform = self.offered.get(account)?;
        if !self.redirects.allows(account, &asked.redirect_uri) {
            return Err(ConnectError::Redirect(account));
        }
        let _permit = self.permits.exchanges.acquire(call, account).await?;
        let begun = self.begun(call, asked).await?;
        let linked = self.store.credentials(&call.user, account).await?;
        let presented = Presented {
            platform,
            code: &asked.oauth_code,
            state: asked.state.as_ref(),
        };
        self.begin_exchange(call, &presented).await?;

        let request = ExchangeRequest {
            code: asked.oauth_code.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            verifier: begun.verifier,
        };
        match self.obtain(call, platform, &request).await {
            Ok(granted) => {
                let linked = linked.map(|linked| linked.account);
                self.link(call, begun.at, linked, granted).await
            }
            Err(Withheld { error, revocation }) => self.refuse(call, account, error, revocation).await,
        }
    }

    /// Finds how this connect was begun: by `account:authorize`, whose state it brings and uses up, or by the application itself.
    async fn begun(&self, call: &Call, asked: &Connect) -> Result<Begun, ConnectError> {
        let (user, session, account) = (&call.user, &call.session, asked.account_type);
        let Some(state) = &asked.state else {
            let required = self.connect_state == ConnectState::Required
                || self.authorizations.is_open(user, session, account).await?;
            if required {
                return Err(ConnectError::StateMissing);
            }
            return Ok(Begun {
                verifier: asked.code_verifier.clone(),
                at: Beginning {
                    by: BegunBy::Application,
                    access_epoch: self.store.access_epoch(user).await?,
                    pending_link: None,
                },
            });
        };
        let authorization = self.authorizations.take(user, session, account, state).await?;
        if authorization.redirect_uri != asked.redirect_uri {
            return Err(ConnectError::OtherRedirect);
        }
        Ok(Begun {
            verifier: Some(authorization.verifier),
            at: Beginning {
                by: BegunBy::Us,
                access_epoch: authorization.access_epoch,
                pending_link: None,
            },
        })
    }

    /// The platform gave nothing that can be linked: the failure, and status `error` for all devices, are committed.
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
            why: failure.error,
            event: call.envelope("refused", &Event::StatusChanged(change)),
            revocation,
        };
        let receipt = call.receipt(&JobOutcome::from(&failure));
        match self.store.refuse_link(&refused, &receipt).await {
            Ok(WriteOutcome::Committed) => Err(error),
            Ok(WriteOutcome::Repeated(answer)) => Ok(call.recall(&answer)?),
            Err(unwritten) => {
                // The client still learns what the platform said: nothing that is stored depends on it.
                tracing::warn!(error = chain(&unwritten), "a refused link is not recorded");
                Err(error)
            }
        }
    }
}

/// What a connect brings along from its beginning.
struct Begun {
    verifier: Option<Secret>,
    at: Beginning,
}

/// Why nothing was linked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error(transparent)]
    Busy(#[from] PlatformBusy),
    #[error("the redirect URI is not allowed for {0}")]
    Redirect(AccountType),
    #[error("the redirect URI is not the authorization's")]
    OtherRedirect,
    #[error("the state is missing")]
    StateMissing,
    #[error("take the authorization")]
    State(#[from] TakeError),
    #[error("look for an open authorization")]
    Bus(#[from] BusError),
    #[error("the code was sent before, or may have been")]
    Spent,
    #[error("the platform asked to wait, and {0:?} are left")]
    Paused(Duration),
    #[error("the authorization was not begun for our own callback")]
    NotHosted,
    #[error("another issuer sends the user back")]
    OtherIssuer,
    #[error("the platform says that it was denied")]
    Denied,
    #[error("the platform says that it failed")]
    Failed,
    #[error("exchange the code")]
    Exchange(#[from] ExchangeError),
    #[error("read the profile")]
    Profile(#[from] ApiError),
    #[error("exchange the code: its task has ended")]
    Cut(#[source] RecvError),
    #[error(transparent)]
    NotQueued(#[from] NotQueued),
    #[error("another account is connected")]
    AlreadyConnected,
    #[error("all access was revoked meanwhile")]
    EpochMoved,
    #[error("the session has ended")]
    SessionEnded,
    #[error("nothing is parked under this token and cookie")]
    NotPending,
    #[error("open the parked tokens")]
    Ciphertext(#[from] VaultError),
    #[error("connect the account")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for ConnectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Busy(error) => error.code(),
            Self::Redirect(_) | Self::OtherRedirect | Self::StateMissing => ErrorCode::BadRequest,
            Self::State(TakeError::Bus(error)) | Self::Bus(error) => error.code(),
            Self::Denied => ErrorCode::OauthDenied,
            Self::State(_) | Self::NotHosted | Self::OtherIssuer | Self::Spent | Self::Failed => ErrorCode::OauthFailed,
            Self::Exchange(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::Paused(_) => ErrorCode::PlatformRateLimited,
            Self::Cut(_) => ErrorCode::Internal,
            Self::NotQueued(NotQueued) => ErrorCode::Unavailable,
            Self::AlreadyConnected => ErrorCode::AlreadyConnected,
            Self::EpochMoved => ErrorCode::Conflict,
            Self::SessionEnded => ErrorCode::Forbidden,
            Self::NotPending => ErrorCode::ConfirmationInvalid,
            Self::Ciphertext(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for ConnectError {
    fn failure(&self) -> Failure {
        let with_message = |message: &str| Failure::with_message(self.code(), message);
        match self {
            Self::Busy(error) => error.failure(),
            Self::Redirect(account) => redirect_refused(*account),
            Self::OtherRedirect => with_message("redirectUri: this is not the redirectUri of account:authorize"),
            Self::StateMissing => with_message("state: this field is required"),
            Self::State(TakeError::Bus(_)) => Failure::of(self.code()),
            Self::State(_) | Self::NotHosted | Self::OtherIssuer => {
                with_message("This authorization is over or was begun elsewhere; start again.")
            }
            Self::NotPending => with_message("This link was confirmed already, or its time is over; start again."),
            Self::Spent => with_message("This authorization code was used before; start again."),
            Self::Paused(wait)
            | Self::Exchange(ExchangeError::Throttled { wait, .. })
            | Self::Profile(ApiError::Throttled { wait, .. }) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..with_message("The platform asks to wait; then start again.")
            },
            Self::Exchange(ExchangeError::NotSent(..)) | Self::Profile(ApiError::Unavailable(..)) => {
                with_message("The platform cannot be reached; start again.")
            }
            _ => Failure::of(self.code()),
        }
    }
}
