//! Sessions with a socket on this gateway: TTL checks, warnings, renewal, and the close of sockets whose session has ended.
//!
//! The deadline of a session is data in the bus. [`table`] decides when the bus is to be queried, [`monitor`] queries it and applies the
//! results, [`open`] admits a socket. Another gateway may have extended a session at any time, so no socket is warned, refused or closed
//! before the bus was queried.

mod monitor;
mod open;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Events, Joins, SessionKey, SessionRenewal, SessionState, SessionTtl, TokenTimes};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::answer::Failure;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::code::{ErrorCode, TokenFault};
use protocol::command::{Answer, CommandKind, ExtendSessionAnswer, RefreshAnswer};
use protocol::event::DeliveryClass;
use protocol::expiry::Expiry;
use protocol::fault::Fault;
use protocol::time::Timestamp;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use self::table::{MemberId, SessionTable};
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::ids;
use crate::metrics::{Metrics, SessionDeadline};
use crate::socket::Caller;
use crate::workers::WorkerClient;

pub(crate) use self::open::SessionRefusal;

/// All sessions with a socket on this gateway.
pub(crate) struct SessionMonitor {
    sessions: Arc<dyn bus::SessionRegistry>,
    joins: Arc<dyn Joins>,
    events: Arc<dyn Events>,
    outage: Arc<BusOutage>,
    workers: Arc<WorkerClient>,
    table: Mutex<SessionTable<Arc<Caller>>>,
    hints: mpsc::Sender<SessionKey>,
    /// Notified when the table has changed.
    changed: Notify,
    /// Longest lifetime of a token that gateways accept.
    token_lifetime: Duration,
    /// Permits for jobs that reopen sessions which Redis has lost: all may be lost together.
    reopenings: Semaphore,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tasks: Tasks,
    metrics: Arc<Metrics>,
}

/// Membership of a socket in its session. Dropping it removes the socket.
pub(crate) struct Membership {
    monitor: Arc<SessionMonitor>,
    key: SessionKey,
    id: MemberId,
}

impl SessionMonitor {
    /// Creates a monitor without sessions; `tasks` own its jobs, `token_lifetime` bounds the tokens that gateways accept. [`SessionMonitor::run`] receives the hints.
    pub(crate) fn new(
        (bus, outage): (&BusRoles, Arc<BusOutage>),
        (workers, token_lifetime): (Arc<WorkerClient>, Duration),
        hints: mpsc::Sender<SessionKey>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tasks: Tasks,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            sessions: Arc::clone(&bus.sessions),
            joins: Arc::clone(&bus.joins),
            events: Arc::clone(&bus.events),
            outage,
            workers,
            table: Mutex::default(),
            hints,
            changed: Notify::new(),
            token_lifetime,
            reopenings: Semaphore::new(REOPENINGS),
            clock,
            entropy,
            tasks,
            metrics,
        }
    }

    /// Records that a socket was closed after the expiry of its token.
    pub(crate) fn token_expired(&self, late: Duration) {
        self.metrics.session_lateness(SessionDeadline::Token, late);
    }

    /// Sender of hints that the deadline of a session may have changed.
    pub(crate) fn hints(&self) -> &mpsc::Sender<SessionKey> {
        &self.hints
    }

    /// Records a request of a client, which renews its session.
    pub(crate) fn activity(&self, caller: &Caller) {
        self.table().activity(&caller.session_key());
        self.changed.notify_one();
    }

    /// Admits a command of this caller while its session is alive. After the deadline known here the bus is queried, as the session may
    /// have been extended on another gateway.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<(), Failure> {
        let key = caller.session_key();
        if caller.has_session_ended() {
            return Err(Failure::of(ErrorCode::Forbidden));
        }
        if !self.table().seems_expired(&key, Instant::now()) {
            return Ok(());
        }
        let states = self.sessions.check_ttl(std::slice::from_ref(&key)).await;
        match self.outage.record("session TTL check", states) {
            Ok(states) if matches!(states.first(), Some(SessionState::Alive(_))) => Ok(()),
            Ok(states) if states.first() == Some(&SessionState::Ended) => Err(Failure::of(ErrorCode::Forbidden)),
            Ok(states) if matches!(states.first(), Some(SessionState::Ending(_))) => {
                Err(Failure::of(ErrorCode::Unavailable))
            }
            Ok(_) => Err(Failure::of_token(TokenFault::Expired)),
            Err(error) => Err(Failure::of(error.code())),
        }
    }

    /// Renews the caller's session on its request. The answer is the caller's only notice of an extension, other sockets receive an event.
    pub(crate) async fn extend(&self, caller: &Caller) -> Result<ExtendSessionAnswer, Failure> {
        let key = caller.session_key();
        self.table().begin_extension(&key, |socket| is_caller(socket, caller));
        let renewed = self.renew_at_once(caller).await;
        self.table()
            .end_extension(&key, |socket| is_caller(socket, caller), renewed.is_ok());
        self.changed.notify_one();
        Ok(self.extended(caller, renewed?.left))
    }

    /// Renews the caller's session before its command is executed.
    pub(crate) async fn renew_at_once(&self, caller: &Caller) -> Result<SessionTtl, Failure> {
        let key = caller.session_key();
        let mut renewed = self.renew_now(&key).await?;
        let announced = match renewed.state {
            SessionState::Ending(announced) => Some(announced),
            _ => None,
        };
        let is_lost = renewed.state == SessionState::Unknown && !self.table().seems_expired(&key, Instant::now());
        if is_lost || announced.is_some() {
            // A worker can tell whether the session is still open.
            let opened = self.open(caller, caller.token().into(), (announced, None)).await;
            opened.map_err(SessionRefusal::failure)?;
            renewed = self.renew_now(&key).await?;
        }
        match renewed.state {
            SessionState::Alive(alive) => {
                let effects = self.table().answered(&key, renewed.state, Instant::now());
                self.carry_out_all(effects);
                self.changed.notify_one();
                self.announce(&key, &renewed).await;
                Ok(alive)
            }
            SessionState::Ending(_) => Err(Failure::of(ErrorCode::Unavailable)),
            SessionState::Ended => Err(Failure::of(ErrorCode::Forbidden)),
            SessionState::Unknown => Err(Failure::of_token(TokenFault::Expired)),
        }
    }

    /// Records another token of the caller's session, before it replaces the current one, and renews the session.
    ///
    /// # Errors
    /// The session has ended, or its state is unknown.
    pub(crate) async fn renew_token(&self, caller: &Caller, token: TokenTimes) -> Result<RefreshAnswer, Failure> {
        let refusal = match self.recorded_state(caller, token).await {
            Ok(SessionState::Alive(_)) => {
                let left = self.renew_at_once(caller).await?.left;
                let now = self.now();
                return Ok(RefreshAnswer {
                    expiry: Expiry::new(now.plus(left), token.expires_at),
                    server_time: now,
                });
            }
            Ok(SessionState::Ended) => SessionRefusal::Ended,
            Ok(SessionState::Unknown | SessionState::Ending(_)) => SessionRefusal::Unavailable,
            Err(refusal) => refusal,
        };
        Err(refusal.failure())
    }

    async fn renew_now(&self, key: &SessionKey) -> Result<SessionRenewal, Failure> {
        let renewed = self.sessions.renew_session(key).await;
        let renewed = self.outage.record("session renewal", renewed);
        renewed.map_err(|error| Failure::of(error.code()))
    }

    /// Extension of a session that has this time left, as the caller's socket sees it.
    fn extended(&self, caller: &Caller, left: Duration) -> ExtendSessionAnswer {
        let now = self.now();
        ExtendSessionAnswer::new(caller.expiry(now.plus(left)), now)
    }

    /// Has every gateway check a session that was renewed after a warning, and notify its sockets. Gateways of the previous release send
    /// them this event itself.
    async fn announce(&self, key: &SessionKey, renewed: &SessionRenewal) {
        let (SessionState::Alive(alive), true) = (renewed.state, renewed.after_warning) else {
            return;
        };
        let now = self.now();
        let extended = ExtendSessionAnswer::new(Expiry::new(now.plus(alive.left), None), now);
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: ids::event(&*self.entropy),
            audience: Audience::Session(key.session.clone()),
            class: DeliveryClass::Critical,
            event: CommandKind::ExtendSession.response_event().to_owned(),
            data: Answer::ExtendSession(extended).data(),
            traceparent: None,
            published_at: None,
        };
        // Gateways that miss it notice the new deadline when they check the old one.
        let published = self.events.publish(&key.user, &envelope).await;
        drop(self.outage.record("session renewal event", published));
    }

    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    fn table(&self) -> MutexGuard<'_, SessionTable<Arc<Caller>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    /// Records the expiry of the socket's new token.
    pub(crate) fn renew(&self, token_ends: Instant) {
        self.monitor
            .table()
            .renew(&self.key, self.id, token_ends, Instant::now());
        self.monitor.changed.notify_one();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.monitor.table().leave(&self.key, self.id);
        self.monitor.changed.notify_one();
    }
}

/// True if this is the caller's socket.
fn is_caller(socket: &Arc<Caller>, caller: &Caller) -> bool {
    std::ptr::eq(Arc::as_ptr(socket), caller)
}

/// Few: sign-ins of other users take precedence.
const REOPENINGS: usize = 32;

/// Deadline of a job that opens a session.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
