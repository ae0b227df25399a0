//! `/oauth/callback/{platform}`: where a browser comes back from a platform. What was granted there is parked by a worker, and
//! linked when the page's button is pressed by whoever has the page and its cookie.
//!
//! In whose name a browser comes back is known by its state alone, and in whose name it says yes by what its page and its cookie
//! hold: both are looked up, and make no job before they are found. Nothing here says who sits before it: the page names the user and
//! the account, and says what to do with somebody else's link.

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
use protocol::answer::{Connect, Failure};
use protocol::cluster::callback::{Callback, ConfirmLink, Parked};
use protocol::cluster::job::{Job, JobOutcome, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::fault::{Fault, chain};
use protocol::id::{SessionId, UserId};
use tokio::time::Instant;

use self::limits::Limit;
use self::page::{Page, Pages};
use super::rates::CallRates;
use crate::command::WorkerClient;
use crate::handshake::upgrade::user_agent;
use crate::metrics::Metrics;
use crate::name;

/// What the callback needs.
pub(crate) struct Callbacks {
    bus: Arc<dyn Bus>,
    workers: Arc<WorkerClient>,
    /// How long a worker may take, with the platform.
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

/// The routes of the callback. HEAD is refused: it would use the state up and show nobody the page.
pub(super) fn router(callbacks: Callbacks) -> Router {
    let methods = get(come_back).post(confirm).head(not_shown);
    Router::new()
        .route("/oauth/callback/{platform}", methods)
        .with_state(Arc::new(callbacks))
}

/// `GET /oauth/callback/{platform}`: exchanges, and asks.
async fn come_back(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Ok(platform) = platform.parse() else {
        return callbacks.pages.show(Page::unknown());
    };
    let query = uri.query().unwrap_or_default();
    let come_back = callbacks.come_back(platform, (peer.ip(), &headers), query).await;
    match callbacks.counted(platform, come_back) {
        Ok((page, parked)) => {
            let mut response = callbacks.pages.show(page);
            cookie::keep(&parked.cookie, platform, parked.expires_in, &mut response);
            response
        }
        Err(failure) => callbacks.pages.show(Page::refused(platform, &failure)),
    }
}

/// `POST /oauth/callback/{platform}`: the yes.
async fn confirm(
    State(callbacks): State<Arc<Callbacks>>,
    Path(platform): Path<String>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(platform) = platform.parse() else {
        return callbacks.pages.show(Page::unknown());
    };
    let confirmed = callbacks.confirm(platform, (peer.ip(), &headers), body).await;
    match callbacks.counted(platform, confirmed) {
        Ok(page) => {
            let mut response = callbacks.pages.show(page);
            cookie::drop_from(platform, &mut response);
            response
        }
        Err(failure) => callbacks.pages.show(Page::refused(platform, &failure)),
    }
}

async fn not_shown(State(callbacks): State<Arc<Callbacks>>) -> Response {
    callbacks.pages.show(Page::no_such_method())
}

impl Callbacks {
    /// The page, and the link that it asks for. What is refused before there is a job leaves the state as it is.
    async fn come_back(
        &self,
        account: AccountType,
        (peer, headers): (IpAddr, &HeaderMap),
        query: &str,
    ) -> Result<(Page, Parked), Failure> {
        self.rates.admit(peer, account, Instant::now())?;
        let query = query::Query::read(query)?;
        let begun = PendingAuthorization::find(&*self.bus, &query.state).await;
        let Some((user, begun)) = begun.map_err(|error| unavailable(&error))? else {
            return Err(Failure::with_message(
                ErrorCode::OauthFailed,
                "This authorization is over or was never begun; start again.",
            ));
        };
        let asker = self.asker(user, begun.session).await?;
        Limit::Connect.admit(&*self.bus, &asker.user).await?;
        let callback = Work::Callback(Callback {
            account,
            state: query.state,
            issuer: query.issuer,
            response: query.response,
        });
        let outcome = self
            .ask(&asker, Origin::of_peer(peer, user_agent(headers)), callback)
            .await?;
        let parked: Parked = read(&outcome)?;
        self.remember(&asker, &parked).await?;
        Ok((Page::question(&asker.user, &parked), parked))
    }

    /// Has every gateway find a link that was just parked by what its page and its browser keep.
    async fn remember(&self, asker: &SessionKey, parked: &Parked) -> Result<(), Failure> {
        let key = PendingLink::key(parked.account.account_type, &parked.token, &parked.cookie);
        let link = PendingLink {
            user: asker.user.clone(),
            session: asker.session.clone(),
        };
        let lasts = Duration::from_secs(parked.expires_in);
        let kept = self.bus.put(&key, &link.write(), lasts).await;
        kept.map_err(|error| unavailable(&error))
    }

    async fn confirm(
        &self,
        account: AccountType,
        (peer, headers): (IpAddr, &HeaderMap),
        body: Body,
    ) -> Result<Page, Failure> {
        self.rates.admit(peer, account, Instant::now())?;
        let form = to_bytes(body, MAX_FORM).await;
        let form = form.map_err(|_too_long_or_late| query::unreadable())?;
        let token = query::token(&form)?;
        let cookie = cookie::kept(headers, account).ok_or_else(not_pending)?;
        let key = PendingLink::key(account, &token, &cookie);
        let found = self.bus.read(&key).await.map_err(|error| unavailable(&error))?;
        let link = found.as_deref().and_then(PendingLink::read).ok_or_else(not_pending)?;
        let asker = self.asker(link.user, link.session).await?;
        Limit::Confirm.admit(&*self.bus, &asker.user).await?;
        let yes = Work::ConfirmLink(ConfirmLink { account, token, cookie });
        let origin = Origin::of_peer(peer, user_agent(headers));
        let outcome = self.ask(&asker, origin, yes).await.map_err(|failure| {
            // It was confirmed or given back a moment ago.
            let is_gone = failure.error == ErrorCode::ConfirmationInvalid;
            if is_gone { not_pending() } else { failure }
        })?;
        if let Err(error) = self.bus.take(&key).await {
            tracing::debug!(
                error = chain(&error),
                "a confirmed link can be found until its time is over"
            );
        }
        let linked: Connect = read(&outcome)?;
        Ok(Page::linked(&asker.user, &linked.account))
    }

    /// In whose name, as long as the session goes on: what could not be asked for on a socket any more is not linked either.
    async fn asker(&self, user: UserId, session: SessionId) -> Result<SessionKey, Failure> {
        let key = SessionKey { user, session };
        let states = self.bus.check_ttl(std::slice::from_ref(&key)).await;
        match states.map_err(|error| unavailable(&error))?.first() {
            Some(SessionState::Alive(_)) => Ok(key),
            _ => Err(Failure::with_message(
                ErrorCode::Unauthenticated,
                "The session that asked for this is over; sign in again and start anew.",
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

/// The one answer to a button that finds no pending link, for whatever reason.
fn not_pending() -> Failure {
    Failure::with_message(
        ErrorCode::ConfirmationInvalid,
        "This page was not opened in this browser, was answered before, or its time is over; start again.",
    )
}

/// What a worker of another release may have written otherwise.
fn read<'a, T: serde::Deserialize<'a>>(outcome: &'a JobOutcome) -> Result<T, Failure> {
    let read = outcome.data.read();
    read.map_err(|_unreadable| Failure::of(ErrorCode::Internal))
}

fn unavailable(error: &(impl Fault + 'static)) -> Failure {
    tracing::warn!(error = chain(error), "a callback could not be sent on");
    Failure::of(error.code())
}

/// The longest form, in bytes: ours has one field of 28.
const MAX_FORM: usize = 1024;
