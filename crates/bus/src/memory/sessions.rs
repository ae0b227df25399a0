//! Sessions in memory.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::{Alive, BusError, Seed, SessionKey, SessionState, Sessions, Touched};

/// The sessions there are, and the ends that are remembered.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: Expiring<SessionKey, Session>,
    /// The newest generation that was given out.
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
enum Session {
    Alive(Life),
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    generation: u64,
    deadline: Instant,
    timeout: Duration,
    lead: Duration,
}

impl Life {
    fn state(self, now: Instant) -> SessionState {
        let left = self.deadline.saturating_duration_since(now);
        SessionState::Alive(Alive {
            generation: self.generation,
            left,
            warns_in: left.saturating_sub(self.lead),
            timeout: self.timeout,
            lead: self.lead,
        })
    }
}

impl Table {
    fn state(&self, key: &SessionKey, now: Instant) -> SessionState {
        match self.sessions.get(key) {
            Some(Session::Alive(life)) => life.state(now),
            Some(Session::Ended) => SessionState::Ended,
            None => SessionState::Unknown,
        }
    }

    /// Keeps a life until its deadline, in a generation of its own.
    fn keep(&mut self, key: &SessionKey, life: Life, now: Instant) -> SessionState {
        self.generation += 1;
        let life = Life {
            generation: self.generation,
            ..life
        };
        self.sessions
            .insert(key.clone(), Session::Alive(life), life.deadline - now);
        life.state(now)
    }
}

#[async_trait]
impl Sessions for MemoryBus {
    async fn seed(&self, session: &SessionKey, seed: Seed) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        match table.state(session, now) {
            SessionState::Ended if !seed.over_end => Ok(SessionState::Ended),
            SessionState::Unknown | SessionState::Ended => {
                let life = Life {
                    generation: 0,
                    deadline: now + seed.left,
                    timeout: seed.timeout,
                    lead: seed.lead,
                };
                Ok(table.keep(session, life, now))
            }
            alive @ SessionState::Alive(_) => Ok(alive),
        }
    }

    async fn poke(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        let now = Instant::now();
        let table = lock(&self.shared.sessions);
        Ok(sessions.iter().map(|session| table.state(session, now)).collect())
    }

    async fn touch(&self, session: &SessionKey) -> Result<Touched, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let Some(Session::Alive(life)) = table.sessions.get(session).copied() else {
            return Ok(Touched {
                state: table.state(session, now),
                after_warning: false,
            });
        };
        let extended = Life {
            deadline: life.deadline.max(now + life.timeout),
            ..life
        };
        Ok(Touched {
            state: table.keep(session, extended, now),
            after_warning: life.deadline <= now + life.lead,
        })
    }

    async fn retime(&self, session: &SessionKey, timeout: Duration, lead: Duration) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let Some(Session::Alive(life)) = table.sessions.get(session).copied() else {
            return Ok(table.state(session, now));
        };
        // The last activity may lie before this process began, where no `Instant` reaches.
        let since_activity = life
            .timeout
            .saturating_sub(life.deadline.saturating_duration_since(now));
        let retimed = Life {
            deadline: now + timeout.saturating_sub(since_activity).max(lead),
            timeout,
            lead,
            ..life
        };
        Ok(table.keep(session, retimed, now))
    }

    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<(), BusError> {
        let mut table = lock(&self.shared.sessions);
        table.sessions.insert(session.clone(), Session::Ended, keep);
        Ok(())
    }

    /// Nothing here runs by itself, so nobody is told.
    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        mpsc::channel(1).1
    }
}
