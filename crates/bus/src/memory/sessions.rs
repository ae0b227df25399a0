//! SessionRegistry in memory.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use protocol::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::sessions::{ANNOUNCED_FOR, MOST_SESSIONS};
use crate::{
    AliveSession, BusError, EndAllSessions, EndAnnouncement, SessionKey, SessionRegistry, SessionRenewal, SessionSeed,
    SessionState, SessionTtl,
};

/// The sessions there are, and the ends that are remembered.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: Expiring<SessionKey, Session>,
    ends_of_all: Expiring<UserId, EndAllSessions>,
    /// The newest generation that was given out.
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
enum Session {
    Alive(Life),
    Ending(u64),
    Ended(Timestamp),
}

#[derive(Debug, Clone, Copy)]
struct Life {
    generation: u64,
    deadline: Instant,
    timeout: Duration,
    lead: Duration,
    opened_at: Timestamp,
    newest_token: Option<Timestamp>,
    announced: Option<u64>,
}

impl Life {
    fn state(self, now: Instant) -> SessionState {
        if let Some(announced) = self.announced {
            return SessionState::Ending(announced);
        }
        let left = self.deadline.saturating_duration_since(now);
        SessionState::Alive(SessionTtl {
            generation: self.generation,
            left,
            warns_in: left.saturating_sub(self.lead),
            timeout: self.timeout,
            lead: self.lead,
        })
    }
}

impl Table {
    /// What is known of a session, where the end of all counts as its own.
    fn get(&self, key: &SessionKey) -> Option<Session> {
        match *self.sessions.get(key)? {
            Session::Alive(life) => {
                let ended = self.ended_with_all(key, life.opened_at);
                Some(ended.map_or(Session::Alive(life), Session::Ended))
            }
            other => Some(other),
        }
    }

    /// When a session that was opened then has ended with all others.
    fn ended_with_all(&self, key: &SessionKey, opened_at: Timestamp) -> Option<Timestamp> {
        let end = self.ends_of_all.get(&key.user)?;
        (opened_at <= end.ended_at && end.except.as_ref() != Some(&key.session)).then_some(end.ended_at)
    }

    fn state(&self, key: &SessionKey, now: Instant) -> SessionState {
        match self.get(key) {
            Some(Session::Alive(life)) => life.state(now),
            Some(Session::Ending(announced)) => SessionState::Ending(announced),
            Some(Session::Ended(_)) => SessionState::Ended,
            None => SessionState::Unknown,
        }
    }

    /// A session that is alive and whose end was not announced.
    fn going_on(&self, key: &SessionKey) -> Option<Life> {
        match self.get(key) {
            Some(Session::Alive(life)) if life.announced.is_none() => Some(life),
            _ => None,
        }
    }

    /// Keeps a life until its deadline, in a generation of its own.
    fn keep(&mut self, key: &SessionKey, life: Life, now: Instant) -> SessionState {
        self.generation += 1;
        let generation = self.generation;
        self.store(key, Life { generation, ..life }, now)
    }

    fn store(&mut self, key: &SessionKey, life: Life, now: Instant) -> SessionState {
        let left = life.deadline - now;
        self.sessions.insert(key.clone(), Session::Alive(life), left);
        life.state(now)
    }

    /// Of more than the bound, the one that ends first is forgotten, but not this one.
    fn bound(&mut self, key: &SessionKey) {
        let alive = self.sessions.iter().filter_map(|(other, session)| match session {
            Session::Alive(life) if other.user == key.user => Some((life.deadline, other.clone())),
            _ => None,
        });
        let mut alive: Vec<_> = alive.collect();
        let surplus = alive.len().saturating_sub(MOST_SESSIONS);
        alive.sort();
        let forgotten = alive.into_iter().map(|(_, other)| other).filter(|other| other != key);
        for other in forgotten.take(surplus) {
            self.sessions.remove(&other);
        }
    }
}

#[async_trait]
impl SessionRegistry for MemoryBus {
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let known = table.get(session);
        let is_before = match known {
            None => true,
            Some(Session::Ended(ended_at)) => ended_at < seed.opened_at,
            Some(Session::Ending(announced)) => seed.announced == Some(announced),
            Some(Session::Alive(life)) => {
                life.announced.is_some() && life.announced == seed.announced && life.opened_at < seed.opened_at
            }
        };
        if is_before {
            if table.ended_with_all(session, seed.opened_at).is_some() {
                return Ok(SessionState::Ended);
            }
            let life = Life {
                generation: 0,
                deadline: now + seed.left,
                timeout: seed.timeout,
                lead: seed.lead,
                opened_at: seed.opened_at,
                newest_token: seed.newest_token,
                announced: None,
            };
            let state = table.keep(session, life, now);
            table.bound(session);
            return Ok(state);
        }
        if let Some(Session::Alive(life)) = known
            && life.announced.is_some()
            && life.announced == seed.announced
        {
            let resolved = Life {
                announced: None,
                newest_token: life.newest_token.max(seed.newest_token),
                ..life
            };
            return Ok(table.store(session, resolved, now));
        }
        Ok(table.state(session, now))
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        let now = Instant::now();
        let table = lock(&self.shared.sessions);
        Ok(sessions.iter().map(|session| table.state(session, now)).collect())
    }

    async fn record_token(&self, session: &SessionKey, issued_at: Option<Timestamp>) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        if let Some(Session::Alive(life)) = table.get(session) {
            let newest_token = life.newest_token.max(issued_at);
            table.store(session, Life { newest_token, ..life }, now);
        }
        Ok(table.state(session, now))
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let Some(life) = table.going_on(session) else {
            return Ok(SessionRenewal {
                state: table.state(session, now),
                after_warning: false,
            });
        };
        let extended = Life {
            deadline: life.deadline.max(now + life.timeout),
            ..life
        };
        Ok(SessionRenewal {
            state: table.keep(session, extended, now),
            after_warning: life.deadline <= now + life.lead,
        })
    }

    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let Some(life) = table.going_on(session) else {
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

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        let now = Instant::now();
        let table = lock(&self.shared.sessions);
        let of_user = table.sessions.iter().filter(|(key, _)| key.user == *user);
        let alive = of_user.filter_map(|(key, _)| match table.get(key)? {
            Session::Alive(life) => Some(AliveSession {
                session: key.session.clone(),
                opened_at: life.opened_at,
                left: life.deadline.saturating_duration_since(now),
                timeout: life.timeout,
            }),
            Session::Ending(_) | Session::Ended(_) => None,
        });
        Ok(alive.collect())
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let mut all = Vec::with_capacity(sessions.len());
        for session in sessions {
            table.generation += 1;
            let announced = table.generation;
            let life = match table.get(session) {
                Some(Session::Alive(life)) => Some(life),
                _ => None,
            };
            if let Some(life) = life {
                let announced = Some(announced);
                table.store(session, Life { announced, ..life }, now);
            } else {
                let ending = Session::Ending(announced);
                table.sessions.insert(session.clone(), ending, ANNOUNCED_FOR);
            }
            all.push(EndAnnouncement {
                was_alive: life.is_some(),
                newest_token: life.and_then(|life| life.newest_token),
            });
        }
        Ok(all)
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, keep: Duration) -> Result<(), BusError> {
        let mut table = lock(&self.shared.sessions);
        let is_over = match table.get(session) {
            Some(Session::Alive(life)) => life.opened_at <= ended_at,
            Some(Session::Ended(before)) => before <= ended_at,
            Some(Session::Ending(_)) | None => true,
        };
        if is_over {
            table.sessions.insert(session.clone(), Session::Ended(ended_at), keep);
        }
        Ok(())
    }

    async fn end_all(&self, user: &UserId, end: &EndAllSessions, keep: Duration) -> Result<(), BusError> {
        let mut table = lock(&self.shared.sessions);
        let known = table.ends_of_all.get(user);
        if known.is_none_or(|known| known.ended_at <= end.ended_at) {
            table.ends_of_all.insert(user.clone(), end.clone(), keep);
        }
        Ok(())
    }

    /// Nothing here runs by itself, so nobody is told.
    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        mpsc::channel(1).1
    }
}
