//! Sessions.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::rules::{self, KnownSession, RECENT};
use crate::sessions::{SessionEnding, SessionOpened, SessionOpening, Sessions, SessionsEnded, WhichSessions};

#[async_trait]
impl Sessions for MemoryStore {
    async fn open_session(&self, opening: &SessionOpening) -> Result<SessionOpened, StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        let key = (opening.user.clone(), opening.session.clone());
        let known = state.sessions.get(&key).copied();
        let opened = rules::open(known.as_ref(), opening, now);
        if let SessionOpened::Open(left) = opened {
            let session = KnownSession {
                expires_at: now.plus(left),
                ended_at: None,
                newest_iat: opening.issued_at.max(known.and_then(|known| known.newest_iat)),
            };
            state.sessions.insert(key, session);
        }
        Ok(opened)
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        let state = self.state();
        let known = state.sessions.get(&(user.clone(), session.clone()));
        Ok(known.is_some_and(|known| known.ended_at.is_some()))
    }

    async fn end_sessions(
        &self,
        ending: &SessionEnding<'_>,
        receipt: &(dyn Fn(usize) -> Receipt + Send + Sync),
    ) -> Result<SessionsEnded, StoreError> {
        let (wall, now) = (self.now(), Timestamp::from(self.now()));
        let mut state = self.state();
        let is_asked = |session: &SessionId| match &ending.which {
            WhichSessions::One(one) => session == one,
            WhichSessions::AllBut(but) => session != but,
        };
        let count = match state.repeated(&receipt(0), wall) {
            Some(answer) => Err(answer),
            None => {
                let alive = state.sessions.iter().filter(|((user, session), known)| {
                    *user == ending.user && is_asked(session) && known.may_be_alive(now)
                });
                let ended: Vec<SessionId> = alive.map(|((_, session), _)| session.clone()).collect();
                let receipt = receipt(ended.len());
                in_time("end the sessions", &receipt)?;
                for session in &ended {
                    if let Some(known) = state.sessions.get_mut(&(ending.user.clone(), session.clone())) {
                        known.ended_at = Some(now);
                    }
                    state.send(&ending.user, &[(ending.notice)(session)], wall);
                    let entry = Entry::of_ended_session(session);
                    state.audit(&self.audit, &ending.user, entry, &receipt, wall);
                }
                state.remember(&receipt, wall);
                Ok(ended.len())
            }
        };
        let recent = state.sessions.iter().filter(|((user, _), known)| {
            *user == ending.user && known.ended_at.is_some_and(|ended_at| now.since(ended_at) < RECENT)
        });
        let ended = recent.map(|((_, session), _)| session.clone()).collect();
        Ok(SessionsEnded { count, ended })
    }

    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError> {
        let now = Timestamp::from(self.now());
        let state = self.state();
        let live = state.sessions.iter().filter(|(_, known)| known.may_be_alive(now));
        let page = live
            .map(|(key, _)| key)
            .filter(|key| after.is_none_or(|after| *key > after));
        Ok(page.take(limit).cloned().collect())
    }

    async fn keep_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        for (key, left) in left {
            if let Some(known) = state.sessions.get_mut(key) {
                known.expires_at = known.expires_at.max(now.plus(*left));
            }
        }
        Ok(())
    }
}
