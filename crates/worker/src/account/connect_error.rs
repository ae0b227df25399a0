//! Errors of a connect, of a hosted callback and of a confirmed link, with the answer that the client reads.

use std::time::Duration;

use bus::BusError;
use platforms::{ApiError, ExchangeError};
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use store::StoreError;
use store::vault::VaultError;
use tokio::sync::oneshot::error::RecvError;

use super::authorization::AuthorizationError;
use crate::call::{RecallError, Refusal, whole_seconds};
use crate::platform::{NotOffered, PlatformBusy};
use crate::settings::RedirectNotAllowed;

/// Error of a connect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error(transparent)]
    Busy(#[from] PlatformBusy),
    #[error(transparent)]
    Redirect(#[from] RedirectNotAllowed),
    #[error("the redirect URI is not the authorization's")]
    OtherRedirect,
    #[error("the state is missing")]
    StateMissing,
    #[error("take the authorization")]
    State(#[from] AuthorizationError),
    #[error("read pending authorizations")]
    Bus(#[from] BusError),
    #[error("the code was or may have been sent before")]
    Spent,
    #[error("the platform is paused for {0:?}")]
    Paused(Duration),
    #[error("the authorization was not started for the hosted callback")]
    NotHosted,
    #[error("the callback names another issuer")]
    OtherIssuer,
    #[error("the user denied the authorization")]
    Denied,
    #[error("the platform reports a failed authorization")]
    Failed,
    #[error("exchange the code")]
    Exchange(#[from] ExchangeError),
    #[error("read the profile")]
    Profile(#[from] ApiError),
    #[error("exchange the code in its task")]
    Cut(#[source] RecvError),
    #[error(transparent)]
    NotQueued(#[from] NotQueued),
    #[error("another account is connected")]
    AlreadyConnected,
    #[error("all access was revoked meanwhile")]
    EpochMoved,
    #[error("the session has ended")]
    SessionEnded,
    #[error("no link is pending under this token and cookie")]
    NotPending,
    #[error("decrypt the tokens of the pending link")]
    Decrypt(#[from] VaultError),
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
            Self::State(AuthorizationError::Bus(error)) | Self::Bus(error) => error.code(),
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
            Self::Decrypt(error) => error.code(),
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
            Self::Redirect(error) => error.failure(),
            Self::OtherRedirect => with_message("redirectUri: this is not the redirectUri of account:authorize"),
            Self::StateMissing => with_message("state: this field is required"),
            Self::State(AuthorizationError::Bus(_)) => Failure::of(self.code()),
            Self::State(_) | Self::NotHosted | Self::OtherIssuer => {
                with_message("This authorization has expired or was started elsewhere; start again.")
            }
            Self::NotPending => with_message("This link was confirmed already or has expired; start again."),
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

/// Error of a revocation that is not queued: a link could not withdraw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the revocation of the issued tokens is not queued")]
pub(crate) struct NotQueued;
