//! `account:authorize`: the URL that the user is sent to, and the state that must come back.

use bus::BusError;
use platforms::AuthorizeRequest;
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, Authorize, AuthorizeAnswer};
use protocol::fault::Fault;
use protocol::secret::Secret;
use store::StoreError;

use super::AccountService;
use super::authorization::{Authorization, LIFETIME};
use crate::call::{Call, Refusal};
use crate::platform::NotOffered;
use crate::settings::RedirectNotAllowed;

impl AccountService {
    pub(crate) async fn authorize(&self, call: &Call, payload: &Authorize) -> Result<JobOutcome, AuthorizeError> {
        let platform = self.offered.get(payload.account_type)?;
        self.redirects.check(payload.account_type, &payload.redirect_uri)?;
        let state = Secret::new(self.entropy.token());
        // 256 bits in 44 characters, where RFC 7636 section 4.1 asks for 43 to 128.
        let verifier = Secret::new(format!("{}{}", self.entropy.token(), self.entropy.token()));
        let authorization = Authorization {
            v: Authorization::VERSION,
            session: call.session.clone(),
            account: payload.account_type,
            redirect_uri: payload.redirect_uri.clone(),
            issuer: platform.issuer(),
            verifier: verifier.clone(),
            access_epoch: self.accounts.access_epoch(&call.user).await?,
        };
        self.authorizations.start(&call.user, &state, &authorization).await?;

        let url = platform.authorize(&AuthorizeRequest {
            redirect_uri: authorization.redirect_uri,
            state: state.clone(),
            verifier,
        });
        Ok(JobOutcome::from(&Answer::Authorize(AuthorizeAnswer {
            authorization_url: Secret::new(url),
            state,
            expires_in: LIFETIME.as_secs(),
        })))
    }
}

/// Error of `account:authorize`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorizeError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error(transparent)]
    Redirect(#[from] RedirectNotAllowed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("store the authorization")]
    Bus(#[from] BusError),
}

impl Fault for AuthorizeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Redirect(_) => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for AuthorizeError {
    fn failure(&self) -> Failure {
        match self {
            Self::Redirect(error) => error.failure(),
            _ => Failure::of(self.code()),
        }
    }
}
