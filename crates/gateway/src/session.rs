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
use protocol::command::{Answer, CommandKind, ExtendSessionAnswer};
use protocol::event::DeliveryClass;
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

    /// Renews the caller's session on its request.
    pub(crate) async fn extend(&self, caller: &Caller) -> Result<ExtendSessionAnswer, Failure> {
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
        self.announce(&key, &renewed).await;
        match renewed.state {
            SessionState::Alive(alive) => {
                self.table().answered(&key, renewed.state, Instant::now());
                self.changed.notify_one();
                Ok(self.extended(caller, &alive))
            }
            SessionState::Ending(_) => Err(Failure::of(ErrorCode::Unavailable)),
            SessionState::Ended => Err(Failure::of(ErrorCode::Forbidden)),
            SessionState::Unknown => Err(Failure::of_token(TokenFault::Expired)),
        }
    }

    /// Records another token of the caller's session, before it replaces the current one.
    ///
    /// # Errors
    /// The session has ended, or its state is unknown.
    pub(crate) async fn renew_token(&self, caller: &Caller, token: TokenTimes) -> Result<(), Failure> {
        let refusal = match self.recorded_state(caller, token).await {
            Ok(SessionState::Alive(_)) => return Ok(()),
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

    /// Answer with the new deadline of a session: the token may expire earlier.
    fn extended(&self, caller: &Caller, alive: &SessionTtl) -> ExtendSessionAnswer {
        let (ends, token_ends) = (self.now().plus(alive.left), caller.token().ends);
        ExtendSessionAnswer {
            expires_at: ends.min(token_ends),
            can_extend: ends < token_ends,
        }
    }

    /// Notifies all sockets of a session, on every gateway, of its renewal after a warning.
    async fn announce(&self, key: &SessionKey, renewed: &SessionRenewal) {
        let (SessionState::Alive(alive), true) = (renewed.state, renewed.after_warning) else {
            return;
        };
        let extended = Answer::ExtendSession(ExtendSessionAnswer {
            expires_at: self.now().plus(alive.left),
            can_extend: true,
        });
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: ids::event(&*self.entropy),
            audience: Audience::Session(key.session.clone()),
            class: DeliveryClass::Critical,
            event: CommandKind::ExtendSession.response_event().to_owned(),
            data: extended.data(),
            traceparent: None,
            published_at: None,
        };
        // The clients of other sockets miss the event only: the new deadline is in the bus.
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

/// Few: sign-ins of other users take precedence.
const REOPENINGS: usize = 32;

/// Deadline of a job that opens a session.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
