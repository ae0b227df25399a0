//! Sessions in memory.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use protocol::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::sessions::{ANNOUNCEMENT_TTL, MAX_SESSIONS};
use crate::{
    AliveSession, BusError, EndAllSessions, EndAnnouncement, RecordedSignIn, SessionKey, SessionRegistry,
    SessionRenewal, SessionSeed, SessionState, SessionTtl, TokenTimes,
};

/// Live sessions and tombstones.
#[derive(Debug, Default)]
pub(super) struct SessionTable {
    sessions: Expiring<SessionKey, SessionRecord>,
    ends_of_all: Expiring<UserId, EndAllSessions>,
    /// Last assigned generation.
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
enum SessionRecord {
    Alive(LiveSession),
    Ending(u64),
    Ended(Timestamp),
}

#[derive(Debug, Clone, Copy)]
struct LiveSession {
    generation: u64,
    deadline: Instant,
    timeout: Duration,
    lead: Duration,
    opened_at: Timestamp,
    tokens: TokenTimes,
    announced: Option<u64>,
}

impl LiveSession {
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
            latest_token_expiry: self.tokens.expires_at,
        })
    }
}

impl SessionTable {
    /// Record of a session; an end of all sessions counts as its own.
    fn get(&self, key: &SessionKey) -> Option<SessionRecord> {
        match *self.sessions.get(key)? {
            SessionRecord::Alive(live) => {
                let ended = self.ended_with_all(key, live.opened_at);
                Some(ended.map_or(SessionRecord::Alive(live), SessionRecord::Ended))
            }
            other => Some(other),
        }
    }

    /// Time at which a session opened at this time ended with all others, if it did.
    fn ended_with_all(&self, key: &SessionKey, opened_at: Timestamp) -> Option<Timestamp> {
        let end = self.ends_of_all.get(&key.user)?;
        (opened_at <= end.ended_at && end.except.as_ref() != Some(&key.session)).then_some(end.ended_at)
    }

    fn state(&self, key: &SessionKey, now: Instant) -> SessionState {
        match self.get(key) {
            Some(SessionRecord::Alive(live)) => live.state(now),
            Some(SessionRecord::Ending(announced)) => SessionState::Ending(announced),
            Some(SessionRecord::Ended(_)) => SessionState::Ended,
            None => SessionState::Unknown,
        }
    }

    /// Live session without an announced end.
    fn renewable(&self, key: &SessionKey) -> Option<LiveSession> {
        match self.get(key) {
            Some(SessionRecord::Alive(live)) if live.announced.is_none() => Some(live),
            _ => None,
        }
    }

    /// Stores a session until its deadline, in a new generation.
    fn advance(&mut self, key: &SessionKey, live: LiveSession, now: Instant) -> SessionState {
        self.generation += 1;
        let generation = self.generation;
        self.store(key, LiveSession { generation, ..live }, now)
    }

    fn store(&mut self, key: &SessionKey, live: LiveSession, now: Instant) -> SessionState {
        let left = live.deadline - now;
        self.sessions.insert(key.clone(), SessionRecord::Alive(live), left);
        live.state(now)
    }

    /// Drops the sessions with the earliest deadlines above the bound, but not this one.
    fn enforce_limit(&mut self, key: &SessionKey) {
        let alive = self.sessions.iter().filter_map(|(other, session)| match session {
            SessionRecord::Alive(live) if other.user == key.user => Some((live.deadline, other.clone())),
            _ => None,
        });
        let mut alive: Vec<_> = alive.collect();
        let excess = alive.len().saturating_sub(MAX_SESSIONS);
        alive.sort();
        let dropped = alive.into_iter().map(|(_, other)| other).filter(|other| other != key);
        for other in dropped.take(excess) {
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
        let is_registrable = match known {
            None => true,
            Some(SessionRecord::Ended(ended_at)) => ended_at < seed.opened_at,
            Some(SessionRecord::Ending(announced)) => seed.announced == Some(announced),
            Some(SessionRecord::Alive(live)) => {
                live.announced.is_some() && live.announced == seed.announced && live.opened_at < seed.opened_at
            }
        };
        if is_registrable {
            if table.ended_with_all(session, seed.opened_at).is_some() {
                return Ok(SessionState::Ended);
            }
            let live = LiveSession {
                generation: 0,
                deadline: now + seed.left,
                timeout: seed.timeout,
                lead: seed.lead,
                opened_at: seed.opened_at,
                tokens: seed.tokens,
                announced: None,
            };
            let state = table.advance(session, live, now);
            table.enforce_limit(session);
            return Ok(state);
        }
        if let Some(SessionRecord::Alive(live)) = known
            && live.announced.is_some()
            && live.announced == seed.announced
        {
            let resolved = LiveSession {
                announced: None,
                tokens: live.tokens.newest(seed.tokens),
                ..live
            };
            return Ok(table.store(session, resolved, now));
        }
        Ok(table.state(session, now))
    }

    async fn seed_signed_in(
        &self,
        session: &SessionKey,
        seed: SessionSeed,
        sign_in: &RecordedSignIn<'_>,
    ) -> Result<SessionState, BusError> {
        self.record_sign_in(&session.user, sign_in);
        self.seed(session, seed).await
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        let now = Instant::now();
        let table = lock(&self.shared.sessions);
        Ok(sessions.iter().map(|session| table.state(session, now)).collect())
    }

    async fn record_token(&self, session: &SessionKey, token: TokenTimes) -> Result<SessionState, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        if let Some(SessionRecord::Alive(live)) = table.get(session) {
            let tokens = live.tokens.newest(token);
            table.store(session, LiveSession { tokens, ..live }, now);
        }
        Ok(table.state(session, now))
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        let now = Instant::now();
        let mut table = lock(&self.shared.sessions);
        let Some(live) = table.renewable(session) else {
            return Ok(SessionRenewal {
                state: table.state(session, now),
                after_warning: false,
            });
        };
        let extended = LiveSession {
            deadline: live.deadline.max(now + live.timeout),
            ..live
        };
        Ok(SessionRenewal {
            state: table.advance(session, extended, now),
            after_warning: live.deadline <= now + live.lead,
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
        let Some(live) = table.renewable(session) else {
            return Ok(table.state(session, now));
        };
        // The last activity may precede the start of this process, which an `Instant` cannot express.
        let since_activity = live
            .timeout
            .saturating_sub(live.deadline.saturating_duration_since(now));
        let changed = LiveSession {
            deadline: now + timeout.saturating_sub(since_activity).max(lead),
            timeout,
            lead,
            ..live
        };
        Ok(table.advance(session, changed, now))
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        let now = Instant::now();
        let table = lock(&self.shared.sessions);
        let of_user = table.sessions.iter().filter(|(key, _)| key.user == *user);
        let alive = of_user.filter_map(|(key, _)| match table.get(key)? {
            SessionRecord::Alive(live) => Some(AliveSession {
                session: key.session.clone(),
                opened_at: live.opened_at,
                left: live.deadline.saturating_duration_since(now),
                timeout: live.timeout,
            }),
            SessionRecord::Ending(_) | SessionRecord::Ended(_) => None,
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
            let live = match table.get(session) {
                Some(SessionRecord::Alive(live)) => Some(live),
                _ => None,
            };
            if let Some(live) = live {
                let announced = Some(announced);
                table.store(session, LiveSession { announced, ..live }, now);
            } else {
                let ending = SessionRecord::Ending(announced);
                table.sessions.insert(session.clone(), ending, ANNOUNCEMENT_TTL);
            }
            all.push(EndAnnouncement {
                was_alive: live.is_some(),
                tokens: live.map_or(TokenTimes::UNKNOWN, |live| live.tokens),
            });
        }
        Ok(all)
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, tombstone_ttl: Duration) -> Result<(), BusError> {
        let mut table = lock(&self.shared.sessions);
        let applies = match table.get(session) {
            Some(SessionRecord::Alive(live)) => live.opened_at <= ended_at,
            Some(SessionRecord::Ended(before)) => before <= ended_at,
            Some(SessionRecord::Ending(_)) | None => true,
        };
        if applies {
            table
                .sessions
                .insert(session.clone(), SessionRecord::Ended(ended_at), tombstone_ttl);
        }
        Ok(())
    }

    async fn end_all(&self, user: &UserId, end: &EndAllSessions, tombstone_ttl: Duration) -> Result<(), BusError> {
        let mut table = lock(&self.shared.sessions);
        let known = table.ends_of_all.get(user);
        if known.is_none_or(|known| known.ended_at <= end.ended_at) {
            table.ends_of_all.insert(user.clone(), end.clone(), tombstone_ttl);
        }
        Ok(())
    }

    /// Closed channel: nothing here expires in the background.
    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        mpsc::channel(1).1
    }
}
