//! `/oauth/callback/{platform}`: redirect target of the platforms. A worker stores the grant as a pending link, and the confirmation
//! page links it. Confirming needs the token in the page and the secret in the cookie.
//!
//! The user of a callback is known from `state` alone, the user of a confirmation from token and cookie. Both are looked up before a
//! job is created. Neither proves who uses the browser: the page therefore names the user and the account, and warns of a link that
//! somebody else has started.

mod cookie;
mod limits;
mod page;
mod query;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use bus::{
    BusError, Challenges, LimitDecision, Limits, PendingAuthorization, PendingLink, SessionKey, SessionRegistry,
    SessionState,
};
use http::{HeaderMap, Uri};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::cluster::callback::{Callback, ConfirmLink, PendingLinkPage};
use protocol::cluster::job::{JobOutcome, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::ConnectAnswer;
use protocol::fault::Fault;
use protocol::http_routes::OAUTH_CALLBACK;
use protocol::id::{SessionId, UserId};
use tokio::time::Instant;

use self::limits::CallbackLimit;
use self::page::{Page, Pages};
use super::rates::CallRates;
use crate::bus_outage::BusOutage;
use crate::command::rate_limited;
use crate::handshake::request::user_agent;
use crate::listener::client::Client;
use crate::metrics::Metrics;
use crate::trace::HttpRoute;
use crate::workers::{Requester, WorkerClient};

/// State of the callback routes.
pub(crate) struct Callbacks {
    bus: CallbackBus,
    workers: Arc<WorkerClient>,
    /// Timeout of a job, including the platform's response.
    job_timeout: Duration,
    rates: CallRates,
    pages: Pages,
    metrics: Arc<Metrics>,
}

/// Roles of the bus that callbacks use.
pub(crate) struct CallbackBus {
    pub(crate) challenges: Arc<dyn Challenges>,
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) sessions: Arc<dyn SessionRegistry>,
    pub(crate) outage: Arc<BusOutage>,
}

impl Callbacks {
    pub(crate) fn new(
        bus: CallbackBus,
        workers: Arc<WorkerClient>,
        job_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            bus,
            workers,
            job_timeout,
            rates: CallRates::new(Instant::now()),
            pages: Pages::new(),
            metrics,
        }
    }
}

/// Returns the routes of the callback. HEAD is refused: it would consume the state without showing the page.
pub(super) fn router(callbacks: Callbacks) -> Router {
    let methods = get(receive).post(confirm).head(method_not_allowed);
    Router::new()
        .route(RECEIVE.path, methods)
        .with_state(Arc::new(callbacks))
}

/// `GET /oauth/callback/{platform}`: exchanges the code and shows the confirmation page.
async fn receive(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let response = async {
        let Ok(platform) = platform.parse() else {
            return callbacks.pages.render(Page::not_found());
        };
        let query = uri.query().unwrap_or_default();
        let received = callbacks.receive(platform, (&client, &headers), query).await;
        match callbacks.counted(platform, received) {
            Ok((page, link)) => {
                let mut response = callbacks.pages.render(page);
                cookie::set(&link.cookie, platform, link.expires_in, &mut response);
                response
            }
            Err(failure) => callbacks.pages.render(Page::refused(platform, &failure)),
        }
    };
    RECEIVE.serve_public(&headers, response).await
}

/// `POST /oauth/callback/{platform}`: confirms the link.
async fn confirm(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let response = async {
        let Ok(platform) = platform.parse() else {
            return callbacks.pages.render(Page::not_found());
        };
        let confirmed = callbacks.confirm(platform, (&client, &headers), body).await;
        match callbacks.counted(platform, confirmed) {
            Ok(page) => {
                let mut response = callbacks.pages.render(page);
                cookie::delete(platform, &mut response);
                response
            }
            Err(failure) => callbacks.pages.render(Page::refused(platform, &failure)),
        }
    };
    CONFIRM.serve_public(&headers, response).await
}

async fn method_not_allowed(State(callbacks): State<Arc<Callbacks>>) -> Response {
    callbacks.pages.render(Page::method_not_allowed())
}

impl Callbacks {
    /// Exchanges the code; returns the confirmation page and the pending link. A request that is refused before the job does not
    /// consume the state.
    async fn receive(
        &self,
        account: AccountType,
        (client, headers): (&Client, &HeaderMap),
        query: &str,
    ) -> Result<(Page, PendingLinkPage), Failure> {
        self.rates.admit(client, account, Instant::now())?;
        let query = query::CallbackQuery::read(query)?;
        let pending = PendingAuthorization::find(&*self.bus.challenges, &query.state).await;
        let Some((user, pending)) = self.on_bus(pending)? else {
            return Err(Failure::with_message(
                ErrorCode::OauthFailed,
                "This authorization has expired or does not exist; start again.",
            ));
        };
        let session = self.live_session(user, pending.session).await?;
        self.admit(CallbackLimit::Connect, &session.user).await?;
        let callback = Work::Callback(Callback {
            account,
            state: query.state,
            issuer: query.issuer,
            response: query.response,
        });
        let outcome = self
            .request(
                &session,
                Origin::of_peer(client.address(), user_agent(headers)),
                callback,
            )
            .await?;
        let link: PendingLinkPage = read(&outcome)?;
        self.index(&session, &link).await?;
        Ok((Page::confirmation(&session.user, &link), link))
    }

    /// Stores the user of a pending link under its token and cookie, so that every gateway can confirm it.
    async fn index(&self, session: &SessionKey, link: &PendingLinkPage) -> Result<(), Failure> {
        let key = PendingLink::key(link.account.account_type, &link.token, &link.cookie);
        let entry = PendingLink {
            user: session.user.clone(),
            session: session.session.clone(),
        };
        let lifetime = Duration::from_secs(link.expires_in);
        let stored = self.bus.challenges.put(&key, &entry.write(), lifetime).await;
        self.on_bus(stored)
    }

    async fn confirm(
        &self,
        account: AccountType,
        (client, headers): (&Client, &HeaderMap),
        body: Body,
    ) -> Result<Page, Failure> {
        self.rates.admit(client, account, Instant::now())?;
        let fields = to_bytes(body, MAX_BODY).await;
        let fields = fields.map_err(|_too_long_or_late| query::malformed())?;
        let token = query::token(&fields)?;
        let cookie = cookie::get(headers, account).ok_or_else(not_pending)?;
        let key = PendingLink::key(account, &token, &cookie);
        let found = self.on_bus(self.bus.challenges.read(&key).await)?;
        let link = found.as_deref().and_then(PendingLink::read).ok_or_else(not_pending)?;
        let session = self.live_session(link.user, link.session).await?;
        self.admit(CallbackLimit::Confirm, &session.user).await?;
        let confirm = Work::ConfirmLink(ConfirmLink { account, token, cookie });
        let origin = Origin::of_peer(client.address(), user_agent(headers));
        let outcome = self.request(&session, origin, confirm).await.map_err(|failure| {
            // The link was confirmed or revoked concurrently.
            let is_gone = failure.error == ErrorCode::ConfirmationInvalid;
            if is_gone { not_pending() } else { failure }
        })?;
        // If this fails, the entry expires by itself.
        drop(self.on_bus(self.bus.challenges.take(&key).await));
        let linked: ConnectAnswer = read(&outcome)?;
        Ok(Page::linked(&session.user, &linked.account))
    }

    /// Takes a token from the user's bucket. If the bus is unavailable, the request is refused.
    async fn admit(&self, limit: CallbackLimit, user: &UserId) -> Result<(), Failure> {
        let decision = self.bus.limits.admit_all(user, limit.charge().as_slice()).await;
        match self.on_bus(decision)? {
            LimitDecision::Admitted => Ok(()),
            LimitDecision::Refused(wait) => Err(rate_limited(wait)),
        }
    }

    /// Checks that the session is live. After its end, nothing is linked, as on a socket.
    async fn live_session(&self, user: UserId, session: SessionId) -> Result<SessionKey, Failure> {
        let key = SessionKey { user, session };
        let states = self.bus.sessions.check_ttl(std::slice::from_ref(&key)).await;
        match self.on_bus(states)?.first() {
            Some(SessionState::Alive(_)) => Ok(key),
            _ => Err(Failure::with_message(
                ErrorCode::Unauthenticated,
                "The session that requested this has ended; sign in again and start again.",
            )),
        }
    }

    /// Requests a job on behalf of a session and returns its outcome.
    async fn request(&self, session: &SessionKey, origin: Origin, work: Work) -> Result<JobOutcome, Failure> {
        let requester = Requester::without_socket(session.clone(), Some(origin));
        let outcome = self.workers.request(requester, work, self.job_timeout).await;
        let outcome = outcome.map_err(|error| Failure::of(error.code()))?;
        let outcome = outcome.ok_or_else(|| Failure::of(ErrorCode::Timeout))?;
        match outcome.error {
            None => Ok(outcome),
            Some(code) => Err(outcome.data.read().unwrap_or_else(|_unreadable| Failure::of(code))),
        }
    }

    /// Records the result of a request to the bus.
    fn on_bus<T>(&self, result: Result<T, BusError>) -> Result<T, Failure> {
        let result = self.bus.outage.record("OAuth callback", result);
        result.map_err(|error| Failure::of(error.code()))
    }

    fn counted<T>(&self, platform: AccountType, ended: Result<T, Failure>) -> Result<T, Failure> {
        let error = ended.as_ref().err().map(|failure| failure.error);
        self.metrics.called_back(platform, error);
        ended
    }
}

/// Returns the failure of a confirmation without a pending link, the same for every cause.
fn not_pending() -> Failure {
    Failure::with_message(
        ErrorCode::ConfirmationInvalid,
        "This page was not opened in this browser, was confirmed before, or has expired; start again.",
    )
}

/// Decodes the outcome of a job. A worker of another release may have encoded it differently.
fn read<'a, T: serde::Deserialize<'a>>(outcome: &'a JobOutcome) -> Result<T, Failure> {
    let read = outcome.data.read();
    read.map_err(|_unreadable| Failure::of(ErrorCode::Internal))
}

/// Route of [`receive`].
const RECEIVE: HttpRoute = HttpRoute {
    method: "GET",
    path: OAUTH_CALLBACK,
};

/// Route of [`confirm`].
const CONFIRM: HttpRoute = HttpRoute {
    method: "POST",
    ..RECEIVE
};

/// Maximum size of the form, in bytes. Its one field has 28.
const MAX_BODY: usize = 1024;
