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

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use bus::{Bus, PendingAuthorization, PendingLink, SessionKey, SessionState};
use http::{HeaderMap, Uri};
use lifecycle::Entropy;
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::cluster::callback::{Callback, ConfirmLink, PendingLinkPage};
use protocol::cluster::job::{Job, JobOutcome, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::ConnectAnswer;
use protocol::fault::{Fault, chain};
use protocol::id::{SessionId, UserId};
use tokio::time::Instant;

use self::limits::CallbackLimit;
use self::page::{Page, Pages};
use super::rates::CallRates;
use crate::handshake::request::user_agent;
use crate::metrics::Metrics;
use crate::name;
use crate::workers::WorkerClient;

/// State of the callback routes.
pub(crate) struct Callbacks {
    bus: Arc<dyn Bus>,
    workers: Arc<WorkerClient>,
    /// Timeout of a job, including the platform's response.
    job_timeout: Duration,
    rates: CallRates,
    pages: Pages,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
}

impl Callbacks {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        workers: Arc<WorkerClient>,
        job_timeout: Duration,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            bus,
            workers,
            job_timeout,
            rates: CallRates::new(Instant::now()),
            pages: Pages::new(),
            entropy,
            metrics,
        }
    }
}

/// Returns the routes of the callback. HEAD is refused: it would consume the state without showing the page.
pub(super) fn router(callbacks: Callbacks) -> Router {
    let methods = get(receive).post(confirm).head(method_not_allowed);
    Router::new()
        .route("/oauth/callback/{platform}", methods)
        .with_state(Arc::new(callbacks))
}

/// `GET /oauth/callback/{platform}`: exchanges the code and shows the confirmation page.
async fn receive(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Ok(platform) = platform.parse() else {
        return callbacks.pages.render(Page::not_found());
    };
    let query = uri.query().unwrap_or_default();
    let received = callbacks.receive(platform, (peer.ip(), &headers), query).await;
    match callbacks.counted(platform, received) {
        Ok((page, link)) => {
            let mut response = callbacks.pages.render(page);
            cookie::set(&link.cookie, platform, link.expires_in, &mut response);
            response
        }
        Err(failure) => callbacks.pages.render(Page::refused(platform, &failure)),
    }
}

/// `POST /oauth/callback/{platform}`: confirms the link.
async fn confirm(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(platform) = platform.parse() else {
        return callbacks.pages.render(Page::not_found());
    };
    let confirmed = callbacks.confirm(platform, (peer.ip(), &headers), body).await;
    match callbacks.counted(platform, confirmed) {
        Ok(page) => {
            let mut response = callbacks.pages.render(page);
            cookie::delete(platform, &mut response);
            response
        }
        Err(failure) => callbacks.pages.render(Page::refused(platform, &failure)),
    }
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
        (peer, headers): (IpAddr, &HeaderMap),
        query: &str,
    ) -> Result<(Page, PendingLinkPage), Failure> {
        self.rates.admit(peer, account, Instant::now())?;
        let query = query::CallbackQuery::read(query)?;
        let pending = PendingAuthorization::find(&*self.bus, &query.state).await;
        let Some((user, pending)) = pending.map_err(|error| unavailable(&error))? else {
            return Err(Failure::with_message(
                ErrorCode::OauthFailed,
                "This authorization has expired or does not exist; start again.",
            ));
        };
        let session = self.live_session(user, pending.session).await?;
        CallbackLimit::Connect.admit(&*self.bus, &session.user).await?;
        let callback = Work::Callback(Callback {
            account,
            state: query.state,
            issuer: query.issuer,
            response: query.response,
        });
        let outcome = self
            .ask(&session, Origin::of_peer(peer, user_agent(headers)), callback)
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
        let stored = self.bus.put(&key, &entry.write(), lifetime).await;
        stored.map_err(|error| unavailable(&error))
    }

    async fn confirm(
        &self,
        account: AccountType,
        (peer, headers): (IpAddr, &HeaderMap),
        body: Body,
    ) -> Result<Page, Failure> {
        self.rates.admit(peer, account, Instant::now())?;
        let fields = to_bytes(body, MAX_BODY).await;
        let fields = fields.map_err(|_too_long_or_late| query::malformed())?;
        let token = query::token(&fields)?;
        let cookie = cookie::get(headers, account).ok_or_else(not_pending)?;
        let key = PendingLink::key(account, &token, &cookie);
        let found = self.bus.read(&key).await.map_err(|error| unavailable(&error))?;
        let link = found.as_deref().and_then(PendingLink::read).ok_or_else(not_pending)?;
        let session = self.live_session(link.user, link.session).await?;
        CallbackLimit::Confirm.admit(&*self.bus, &session.user).await?;
        let confirm = Work::ConfirmLink(ConfirmLink { account, token, cookie });
        let origin = Origin::of_peer(peer, user_agent(headers));
        let outcome = self.ask(&session, origin, confirm).await.map_err(|failure| {
            // The link was confirmed or revoked concurrently.
            let is_gone = failure.error == ErrorCode::ConfirmationInvalid;
            if is_gone { not_pending() } else { failure }
        })?;
        if let Err(error) = self.bus.take(&key).await {
            tracing::debug!(
                error = chain(&error),
                "pending link of a confirmed callback not deleted, it expires by itself"
            );
        }
        let linked: ConnectAnswer = read(&outcome)?;
        Ok(Page::linked(&session.user, &linked.account))
    }

    /// Checks that the session is live. After its end, nothing is linked, as on a socket.
    async fn live_session(&self, user: UserId, session: SessionId) -> Result<SessionKey, Failure> {
        let key = SessionKey { user, session };
        let states = self.bus.check_ttl(std::slice::from_ref(&key)).await;
        match states.map_err(|error| unavailable(&error))?.first() {
            Some(SessionState::Alive(_)) => Ok(key),
            _ => Err(Failure::with_message(
                ErrorCode::Unauthenticated,
                "The session that requested this has ended; sign in again and start again.",
            )),
        }
    }

    async fn ask(&self, asker: &SessionKey, origin: Origin, work: Work) -> Result<JobOutcome, Failure> {
        let job = Job {
            v: Job::VERSION,
            id: name::job(&*self.entropy),
            user: asker.user.clone(),
            session: asker.session.clone(),
            connection: name::connection(&*self.entropy),
            node: self.workers.node().clone(),
            origin: Some(origin),
            traceparent: name::trace(&*self.entropy),
            idempotency_key: None,
            authenticated_at: None,
            work,
        };
        tracing::debug!(user = %job.user, command = job.work.name(), job = %job.id, "a callback is sent on");
        let asked = self.workers.ask(&job, self.job_timeout).await;
        let outcome = asked.map_err(|error| unavailable(&error))?;
        let outcome = outcome.ok_or_else(|| Failure::of(ErrorCode::Timeout))?;
        match outcome.error {
            None => Ok(outcome),
            Some(code) => Err(outcome.data.read().unwrap_or_else(|_unreadable| Failure::of(code))),
        }
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

fn unavailable(error: &(impl Fault + 'static)) -> Failure {
    tracing::warn!(error = chain(error), "a callback could not be sent on");
    Failure::of(error.code())
}

/// Maximum size of the form, in bytes. Its one field has 28.
const MAX_BODY: usize = 1024;
