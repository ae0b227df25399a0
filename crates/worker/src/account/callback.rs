//! The hosted callback: a browser comes back from a platform, and what was granted there is parked until its user says yes.
//!
//! Who the browser belongs to is not known: somebody may have been sent somebody else's link. So nothing is linked here.

use std::time::Duration;

use platforms::{ExchangeRequest, Platform};
use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback, Parked};
use protocol::cluster::job::JobOutcome;
use protocol::command::CommandKind;
use protocol::fault::chain;
use protocol::json::Json;
use protocol::secret::Secret;
use store::{PendingLink, PendingLinkId, PendingLinkOutcome};

use super::AccountService;
use super::authorization::Authorization;
use super::connect::ConnectError;
use super::exchange::{Presented, Withheld};
use super::link::Granted;
use crate::call::{Call, digest};

impl AccountService {
    /// The state is used up whatever comes of it, unless too much is under way at the platform. From then on the session that asked is told how it ended.
    pub(crate) async fn callback(&self, call: &Call, callback: &Callback) -> Result<JobOutcome, ConnectError> {
        let platform = self.offered.get(callback.account)?;
        let _permit = self.permits.exchanges.acquire(call, callback.account).await?;
        let begun = self
            .authorizations
            .take(&call.user, &call.session, callback.account, &callback.state)
            .await?;
        let pending_link = self.come_back(call, platform, callback, begun).await;
        if let Err(error) = &pending_link {
            self.tell_session(call, error).await;
        }
        pending_link
    }

    async fn come_back(
        &self,
        call: &Call,
        platform: &dyn Platform,
        callback: &Callback,
        begun: Authorization,
    ) -> Result<JobOutcome, ConnectError> {
        let account = callback.account;
        if !self.redirects.is_hosted(account, &begun.redirect_uri) {
            return Err(ConnectError::NotHosted);
        }
        if is_another(callback.issuer.as_deref(), begun.issuer.as_deref()) {
            return Err(ConnectError::OtherIssuer);
        }
        let code = match &callback.response {
            AuthorizationResponse::Code(code) => code,
            AuthorizationResponse::Denied => return self.refuse(call, account, ConnectError::Denied, None).await,
            AuthorizationResponse::Failed => return self.refuse(call, account, ConnectError::Failed, None).await,
        };
        let presented = Presented {
            platform,
            code,
            state: Some(&callback.state),
        };
        self.begin_exchange(call, &presented).await?;
        let request = ExchangeRequest {
            code: code.clone(),
            redirect_uri: begun.redirect_uri,
            verifier: Some(begun.verifier),
        };
        match self.obtain(call, platform, &request).await {
            Ok(granted) => self.park(call, begun.access_epoch, granted).await,
            Err(Withheld { error, revocation }) => self.refuse(call, account, error, revocation).await,
        }
    }

    async fn park(&self, call: &Call, access_epoch: i64, granted: Granted) -> Result<JobOutcome, ConnectError> {
        let Granted {
            account,
            grant,
            profile,
        } = granted;
        let page = Parked {
            account: self.fresh(account, grant.scopes, profile),
            token: Secret::new(self.entropy.token()),
            cookie: Secret::new(self.entropy.token()),
            expires_in: LIFE.as_secs(),
        };
        let tokens = grant.tokens.as_ref();
        let pending_link = PendingLink {
            id: pending_link_id(call, account, &page.token, &page.cookie),
            user: call.user.clone(),
            session: call.session.clone(),
            account: page.account.clone(),
            tokens: tokens.map(|tokens| self.encrypt_tokens(&call.user, account, tokens)),
            access_epoch,
            lifetime: LIFE,
        };
        let outcome = JobOutcome {
            error: None,
            leading_notice: None,
            secret: true,
            data: Json::of(&page),
        };
        let receipt = call.receipt(&outcome);
        let pending_link = self.insist(call, || self.store.add_pending_link(&pending_link, &receipt));
        match pending_link.await? {
            PendingLinkOutcome::Pending => Ok(outcome),
            PendingLinkOutcome::EpochMoved => Err(ConnectError::EpochMoved),
            PendingLinkOutcome::SessionEnded => Err(ConnectError::SessionEnded),
            PendingLinkOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// The sockets that wait for a link hear that there will be none. Nothing is promised by it, so it is said once and not kept.
    pub(super) async fn tell_session(&self, call: &Call, error: &ConnectError) {
        let outcome = JobOutcome::from(&call.failure(error));
        let answer = call.answer_to_session(CommandKind::Connect, &outcome);
        if let Err(unsaid) = self.events.publish(&call.user, &answer).await {
            tracing::debug!(error = chain(&unsaid), "a session was not told that its link failed");
        }
    }
}

/// Whether somebody else sends the user back than the authorization was begun with (mix-up, RFC 9207). Who says nothing is known by
/// the path, which is each platform's own.
fn is_another(says: Option<&str>, expected: Option<&str>) -> bool {
    says.zip(expected).is_some_and(|(says, expected)| says != expected)
}

/// The name of a parked link: nobody who has not both secrets, in this user's and session's name, can tell it.
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

/// How long a user has to say yes.
const LIFE: Duration = Duration::from_secs(5 * 60);
