//! Sessions.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::audit::Entry;
use crate::rules::{self, KnownSession, RECENT};
use crate::sessions::{
    OpenedSession, SessionEnding, SessionOpened, SessionOpening, Sessions, SessionsEnded, SessionsReceipt,
    WhichSessions,
};

/// The row of a session.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    known: KnownSession,
    opened_at: Timestamp,
    failures: u32,
    origin: Origin,
}

#[async_trait]
impl Sessions for MemoryStore {
    async fn open_session(&self, opening: &SessionOpening) -> Result<SessionOpened, StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        let key = (opening.user.clone(), opening.session.clone());
        let before = state.sessions.get(&key);
        let known = before.map(|row| row.known);
        let opened = rules::open(known.as_ref(), opening, now);
        if let SessionOpened::Open(left) = opened {
            let goes_on = before.filter(|row| row.known.is_open(now));
            let row = SessionRow {
                known: KnownSession {
                    expires_at: now.plus(left),
                    ended_at: None,
                    newest_iat: opening.issued_at.max(known.and_then(|known| known.newest_iat)),
                },
                opened_at: goes_on.map_or(now, |row| row.opened_at),
                failures: goes_on.map_or(0, |row| row.failures),
                origin: opening.origin.clone(),
            };
            state.sessions.insert(key, row);
        }
        Ok(opened)
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        Ok(self.state().is_session_ended(user, session))
    }

    async fn end_sessions(
        &self,
        ending: &SessionEnding<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<SessionsEnded, StoreError> {
        let (wall, now) = (self.now(), Timestamp::from(self.now()));
        let mut state = self.state();
        let is_asked = |session: &SessionId| match &ending.which {
            WhichSessions::One(one) => session == one,
            WhichSessions::AllBut(but) => session != but,
            WhichSessions::All => true,
        };
        let count = match state.begin("end the sessions", &ending.user, &receipt(0), wall)? {
            Some(answer) => Err(answer),
            None => {
                let alive = state.sessions.iter().filter(|((user, session), row)| {
                    *user == ending.user && is_asked(session) && row.known.may_be_alive(now)
                });
                let ended: Vec<SessionId> = alive.map(|((_, session), _)| session.clone()).collect();
                let receipt = receipt(ended.len());
                in_time("end the sessions", &receipt)?;
                for session in &ended {
                    if let Some(row) = state.sessions.get_mut(&(ending.user.clone(), session.clone())) {
                        row.known.ended_at = Some(now);
                    }
                    state.send(&ending.user, &[(ending.notice)(session)], wall);
                    let entry = Entry::of_ended_session(session);
                    state.audit(&self.audit, &ending.user, entry, &receipt, wall);
                }
                state.remember(&receipt, wall);
                Ok(ended.len())
            }
        };
        let recent = state.sessions.iter().filter(|((user, _), row)| {
            *user == ending.user && row.known.ended_at.is_some_and(|ended_at| now.since(ended_at) < RECENT)
        });
        let ended = recent.map(|((_, session), _)| session.clone()).collect();
        Ok(SessionsEnded { count, ended })
    }

    async fn count_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError> {
        let mut state = self.state();
        state.refuse_ended("count a wrong second factor", user, Some(session))?;
        let row = state.sessions.get_mut(&(user.clone(), session.clone()));
        Ok(row.map_or(0, |row| {
            row.failures = row.failures.saturating_add(1);
            row.failures
        }))
    }

    async fn sessions_of(&self, user: &UserId) -> Result<Vec<OpenedSession>, StoreError> {
        let now = Timestamp::from(self.now());
        let state = self.state();
        let alive = state
            .sessions
            .iter()
            .filter(|((of, _), row)| of == user && row.known.may_be_alive(now));
        let mut sessions: Vec<_> = alive
            .map(|((_, session), row)| OpenedSession {
                session: session.clone(),
                opened_at: row.opened_at,
                origin: row.origin.clone(),
            })
            .collect();
        sessions.sort_by(|one, other| (one.opened_at, &one.session).cmp(&(other.opened_at, &other.session)));
        Ok(sessions)
    }

    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError> {
        let now = Timestamp::from(self.now());
        let state = self.state();
        let live = state.sessions.iter().filter(|(_, row)| row.known.may_be_alive(now));
        let page = live
            .map(|(key, _)| key)
            .filter(|key| after.is_none_or(|after| *key > after));
        Ok(page.take(limit).cloned().collect())
    }

    async fn keep_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        for (key, left) in left {
            if let Some(row) = state.sessions.get_mut(key) {
                row.known.expires_at = row.known.expires_at.max(now.plus(*left));
            }
        }
        Ok(())
    }

    async fn retime_sessions(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        for (session, left) in left {
            if let Some(row) = state.sessions.get_mut(&(user.clone(), session.clone())) {
                row.known.expires_at = now.plus(*left);
            }
        }
        Ok(())
    }
}

impl State {
    /// What every transaction asks that acts for a session.
    pub(super) fn is_session_ended(&self, user: &UserId, session: &SessionId) -> bool {
        let known = self.sessions.get(&(user.clone(), session.clone()));
        known.is_some_and(|row| row.known.ended_at.is_some())
    }
}
