//! Hosted callback: a browser returns from a platform, and the grant becomes a pending link until its user confirms it.
//!
//! The user of the browser is unknown: somebody may have been sent another user's link. So nothing is linked here.

use std::time::Duration;

use platforms::{ExchangeRequest, Platform};
use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback, PendingLinkPage};
use protocol::cluster::job::JobOutcome;
use protocol::command::CommandKind;
use protocol::fault::chain;
use protocol::json::Json;
use protocol::secret::Secret;
use store::{PendingLink, PendingLinkId, PendingLinkOutcome};

use super::AccountService;
use super::authorization::Authorization;
use super::connect_error::ConnectError;
use super::exchange::{CodeToExchange, FailedExchange};
use super::link::GrantedAccount;
use crate::call::{Call, digest};

impl AccountService {
    /// Consumes the state, unless too many calls to the platform are running. From then on the session that started the authorization
    /// is notified of a failure.
    pub(crate) async fn callback(&self, call: &Call, callback: &Callback) -> Result<JobOutcome, ConnectError> {
        let platform = self.offered.get(callback.account)?;
        let _permit = self.permits.exchanges.acquire(call, callback.account).await?;
        let authorization = self
            .authorizations
            .take(&call.user, &call.session, callback.account, &callback.state)
            .await?;
        let pending_link = self.return_from_platform(call, platform, callback, authorization).await;
        if let Err(error) = &pending_link {
            self.notify_session(call, error).await;
        }
        pending_link
    }

    async fn return_from_platform(
        &self,
        call: &Call,
        platform: &dyn Platform,
        callback: &Callback,
        authorization: Authorization,
    ) -> Result<JobOutcome, ConnectError> {
        let account = callback.account;
        if !self.redirects.is_hosted(account, &authorization.redirect_uri) {
            return Err(ConnectError::NotHosted);
        }
        if is_other_issuer(callback.issuer.as_deref(), authorization.issuer.as_deref()) {
            return Err(ConnectError::OtherIssuer);
        }
        let code = match &callback.response {
            AuthorizationResponse::Code(code) => code,
            AuthorizationResponse::Denied => return self.refuse(call, account, ConnectError::Denied, None).await,
            AuthorizationResponse::Failed => return self.refuse(call, account, ConnectError::Failed, None).await,
        };
        let presented = CodeToExchange {
            platform,
            code,
            state: Some(&callback.state),
        };
        self.begin_exchange(call, &presented).await?;
        let request = ExchangeRequest {
            code: code.clone(),
            redirect_uri: authorization.redirect_uri,
            verifier: Some(authorization.verifier),
        };
        match self.obtain(call, platform, &request).await {
            Ok(granted) => self.add_pending_link(call, authorization.access_epoch, granted).await,
            Err(FailedExchange { error, revocation }) => self.refuse(call, account, error, revocation).await,
        }
    }

    async fn add_pending_link(
        &self,
        call: &Call,
        access_epoch: i64,
        granted: GrantedAccount,
    ) -> Result<JobOutcome, ConnectError> {
        let GrantedAccount {
            account,
            grant,
            profile,
        } = granted;
        let page = PendingLinkPage {
            account: self.fresh(account, grant.scopes, profile),
            token: Secret::new(self.entropy.token()),
            cookie: Secret::new(self.entropy.token()),
            expires_in: LIFETIME.as_secs(),
        };
        let tokens = grant.tokens.as_ref();
        let pending_link = PendingLink {
            id: pending_link_id(call, account, &page.token, &page.cookie),
            user: call.user.clone(),
            session: call.session.clone(),
            account: page.account.clone(),
            tokens: tokens.map(|tokens| self.encrypt_tokens(&call.user, account, tokens)),
            access_epoch,
            lifetime: LIFETIME,
        };
        let outcome = JobOutcome {
            error: None,
            leading_notice: None,
            secret: true,
            data: Json::of(&page),
        };
        let receipt = call.receipt(&outcome);
        let pending_link = self.retry_store(call, || self.pending_links.add_pending_link(&pending_link, &receipt));
        match pending_link.await? {
            PendingLinkOutcome::Pending => Ok(outcome),
            PendingLinkOutcome::EpochMoved => Err(ConnectError::EpochMoved),
            PendingLinkOutcome::SessionEnded => Err(ConnectError::SessionEnded),
            PendingLinkOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// Notifies the sockets that wait for a link that it failed. Sent once and not stored, since clients do not rely on it.
    pub(super) async fn notify_session(&self, call: &Call, error: &ConnectError) {
        let outcome = JobOutcome::from(&call.failure(error));
        let answer = call.answer_to_session(CommandKind::Connect, &outcome);
        if let Err(unpublished) = self.events.publish(&call.user, &answer).await {
            tracing::debug!(error = chain(&unpublished), "link failure not published to its session");
        }
    }
}

/// Reports whether the callback names another issuer than the authorization (mix-up, RFC 9207). A callback without an issuer is
/// identified by its path, which is distinct for each platform.
fn is_other_issuer(named: Option<&str>, expected: Option<&str>) -> bool {
    named.zip(expected).is_some_and(|(named, expected)| named != expected)
}

/// Id of a pending link, derived from both secrets, the user and the session: it cannot be guessed without them.
pub(super) fn pending_link_id(call: &Call, account: AccountType, token: &Secret, cookie: &Secret) -> PendingLinkId {
    let bound = [
        "parked link",
        call.user.as_str(),
        call.session.as_str(),
        account.as_str(),
        token.expose(),
        cookie.expose(),
    ];
    PendingLinkId(digest(bound.map(str::as_bytes)))
}

/// Time that a user has to confirm a link.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
