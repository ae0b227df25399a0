//! Sessions as this gateway sees them: who is in which, who is warned, whose sockets end.
//!
//! A session's deadline is data in the bus. [`table`] decides when the bus is to be asked, [`watch`] asks and obeys, [`open`] lets a
//! socket in. Another gateway may have extended a session at any time, so nobody is warned, refused or ended before the bus was
//! asked.

mod open;
mod table;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, SessionKey, SessionRenewal, SessionState, SessionTtl};
use lifecycle::{Clock, Entropy, Tasks};
use protocol::answer::Failure;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::code::{ErrorCode, TokenFault};
use protocol::command::{Answer, CommandKind, ExtendSessionAnswer};
use protocol::event::DeliveryClass;
use protocol::fault::{Fault, chain};
use protocol::time::Timestamp;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use self::table::{MemberId, Table};
use crate::command::{Caller, WorkerClient};
use crate::name;

pub(crate) use self::open::Closed;

/// All sessions with a socket here.
pub(crate) struct Sessions {
    bus: Arc<dyn Bus>,
    workers: Arc<WorkerClient>,
    table: Mutex<Table<Arc<Caller>>>,
    hints: mpsc::Sender<SessionKey>,
    /// The table has changed.
    changed: Notify,
    /// How many sessions workers are asked about at once because Redis has lost them: all may be lost together.
    reopenings: Semaphore,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tasks: Tasks,
}

/// A socket's place in its session. Dropping it gives it back.
pub(crate) struct Membership {
    sessions: Arc<Sessions>,
    key: SessionKey,
    id: MemberId,
}

impl Sessions {
    /// No session yet; `tasks` own what is asked of workers. What is said into `hints` is for [`Sessions::run`].
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        workers: Arc<WorkerClient>,
        hints: mpsc::Sender<SessionKey>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tasks: Tasks,
    ) -> Self {
        Self {
            bus,
            workers,
            table: Mutex::default(),
            hints,
            changed: Notify::new(),
            reopenings: Semaphore::new(REOPENINGS),
            clock,
            entropy,
            tasks,
        }
    }

    /// Where it is said that the end of a session may have moved.
    pub(crate) fn hints(&self) -> &mpsc::Sender<SessionKey> {
        &self.hints
    }

    /// A client said something: its session goes on.
    pub(crate) fn activity(&self, caller: &Caller) {
        self.table().activity(&key(caller));
        self.changed.notify_one();
    }

    /// Whether commands of this caller may still be taken. From the deadline on they are refused, whatever anyone has announced;
    /// but first the bus is asked, as the session may have been extended elsewhere.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<(), Failure> {
        let key = key(caller);
        if caller.is_session_over() {
            return Err(Failure::of(ErrorCode::Forbidden));
        }
        if !self.table().seems_over(&key, Instant::now()) {
            return Ok(());
        }
        match self.bus.check_ttl(std::slice::from_ref(&key)).await {
            Ok(states) if matches!(states.first(), Some(SessionState::Alive(_))) => Ok(()),
            Ok(states) if states.first() == Some(&SessionState::Ended) => Err(Failure::of(ErrorCode::Forbidden)),
            Ok(states) if matches!(states.first(), Some(SessionState::Ending(_))) => {
                Err(Failure::of(ErrorCode::Unavailable))
            }
            Ok(_) => Err(Failure::of_token(TokenFault::Expired)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a session could not be asked for");
                Err(Failure::of(error.code()))
            }
        }
    }

    /// Moves the end of the caller's session, at its word.
    pub(crate) async fn extend(&self, caller: &Caller) -> Result<ExtendSessionAnswer, Failure> {
        let key = key(caller);
        let mut touched = self.touch_now(&key).await?;
        let announced = match touched.state {
            SessionState::Ending(announced) => Some(announced),
            _ => None,
        };
        let is_lost = touched.state == SessionState::Unknown && !self.table().seems_over(&key, Instant::now());
        if is_lost || announced.is_some() {
            // A worker knows whether it goes on.
            let opened = self.open(caller, caller.token().issued, announced).await;
            opened.map_err(Closed::failure)?;
            touched = self.touch_now(&key).await?;
        }
        self.announce(&key, &touched).await;
        match touched.state {
            SessionState::Alive(alive) => {
                self.table().answered(&key, touched.state, Instant::now());
                self.changed.notify_one();
                Ok(self.extended(caller, &alive))
            }
            SessionState::Ending(_) => Err(Failure::of(ErrorCode::Unavailable)),
            SessionState::Ended => Err(Failure::of(ErrorCode::Forbidden)),
            SessionState::Unknown => Err(Failure::of_token(TokenFault::Expired)),
        }
    }

    /// Records another token of the caller's session, before it takes the place of the one before.
    ///
    /// # Errors
    /// The session does not go on, or nobody can say just now.
    pub(crate) async fn renew_token(&self, caller: &Caller, issued_at: Option<Timestamp>) -> Result<(), Failure> {
        let closed = match self.present(caller, issued_at).await {
            Ok(SessionState::Alive(_)) => return Ok(()),
            Ok(SessionState::Ended) => Closed::Ended,
            Ok(SessionState::Unknown | SessionState::Ending(_)) => Closed::Unavailable,
            Err(closed) => closed,
        };
        Err(closed.failure())
    }

    async fn touch_now(&self, key: &SessionKey) -> Result<SessionRenewal, Failure> {
        self.bus.renew_session(key).await.map_err(|error| {
            tracing::warn!(error = chain(&error), "a session could not be extended");
            Failure::of(error.code())
        })
    }

    /// What a client is told of its session's new end: the token's own end may be nearer.
    fn extended(&self, caller: &Caller, alive: &SessionTtl) -> ExtendSessionAnswer {
        let (ends, token_ends) = (self.now().plus(alive.left), caller.token().ends);
        ExtendSessionAnswer {
            expires_at: ends.min(token_ends),
            can_extend: ends < token_ends,
        }
    }

    /// Tells all sockets of a session, wherever they are, that it goes on after they were warned.
    async fn announce(&self, key: &SessionKey, touched: &SessionRenewal) {
        let (SessionState::Alive(alive), true) = (touched.state, touched.after_warning) else {
            return;
        };
        let extended = Answer::ExtendSession(ExtendSessionAnswer {
            expires_at: self.now().plus(alive.left),
            can_extend: true,
        });
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: name::event(&*self.entropy),
            audience: Audience::Session(key.session.clone()),
            class: DeliveryClass::Critical,
            event: CommandKind::ExtendSession.response_event().to_owned(),
            data: extended.data(),
        };
        if let Err(error) = self.bus.publish(&key.user, &envelope).await {
            tracing::warn!(error = chain(&error), "an extension was not announced");
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    fn table(&self) -> MutexGuard<'_, Table<Arc<Caller>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    /// The socket's token is another one, and ends then.
    pub(crate) fn renew(&self, token_ends: Instant) {
        self.sessions.table().renew(&self.key, self.id, token_ends);
        self.sessions.changed.notify_one();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.sessions.table().leave(&self.key, self.id);
        self.sessions.changed.notify_one();
    }
}

fn key(caller: &Caller) -> SessionKey {
    SessionKey {
        user: caller.user.clone(),
        session: caller.session.clone(),
    }
}

/// Logins of other users go first.
const REOPENINGS: usize = 32;

/// How long a worker may take to say whether a session is open.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
