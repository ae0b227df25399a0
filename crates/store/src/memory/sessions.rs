//! Session records.

mod end;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;

use super::rows::SessionRow;
use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::security::{DEFAULT_SESSION_TIMEOUT, session_timeout};
use crate::session_rules::{self, KnownSession, SLACK};
use crate::sessions::{
    CommittedEnds, EndSessionsOutcome, EndSessionsRequest, OpeningSignIn, SessionDeadline, SessionLife,
    SessionOpenOutcome, SessionOpenRequest, SessionRecord, SessionRecords, SessionsReceipt,
};

#[async_trait]
impl SessionRecords for MemoryStore {
    async fn open_session(
        &self,
        opening: &SessionOpenRequest,
        sign_in: Option<&OpeningSignIn<'_>>,
    ) -> Result<SessionOpenOutcome, StoreError> {
        let time = self.now();
        let now = Timestamp::from(time);
        let mut state = self.state();
        let key = (opening.user.clone(), opening.session.clone());
        let before = state.sessions.get(&key);
        let all = state.ends_of_all.get(&opening.user).map(|(all, _)| all);
        let chosen = state.security.get(&opening.user);
        let minutes = chosen.map_or(DEFAULT_SESSION_TIMEOUT, |record| record.session_timeout);
        let timeout = session_timeout(minutes, opening.timeout);
        let opened = session_rules::open(before.map(|row| row.known).as_ref(), all, opening, timeout, now);
        let SessionOpenOutcome::Open(mut life) = opened else {
            if let Some(row) = state.sessions.get_mut(&key) {
                row.known.latest_expiry = session_rules::presented_expiry(Some(&row.known), opening);
            }
            return Ok(opened);
        };
        if let Some(sign_in) = sign_in {
            in_time("store the opened session", sign_in.receipt)?;
        }
        let row = opened_row(before, opening, &life, now);
        state.sessions.insert(key, row);
        if let Some(sign_in) = sign_in {
            life.sign_in_recorded = self.record_opening(&mut state, opening, sign_in, time);
        }
        Ok(SessionOpenOutcome::Open(life))
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        Ok(self.state().is_session_ended(user, session))
    }

    async fn end_sessions(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<EndSessionsOutcome, StoreError> {
        self.end(ending, receipt).await
    }

    async fn count_factor_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError> {
        let mut state = self.state();
        state.refuse_ended("count a wrong second factor", user, Some(session))?;
        let row = state.sessions.get_mut(&(user.clone(), session.clone()));
        Ok(row.map_or(0, |row| {
            row.failures = row.failures.saturating_add(1);
            row.failures
        }))
    }

    async fn users_with_unconfirmed_ends(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let state = self.state();
        let sessions = state
            .sessions
            .iter()
            .filter(|(_, row)| row.end_unconfirmed)
            .map(|((user, _), _)| user);
        let all = state
            .ends_of_all
            .iter()
            .filter(|(_, (_, unconfirmed))| *unconfirmed)
            .map(|(user, _)| user);
        let mut users: Vec<_> = sessions.chain(all).cloned().collect();
        users.sort();
        users.dedup();
        users.truncate(limit);
        Ok(users)
    }

    async fn unconfirmed_ends(&self, user: &UserId) -> Result<CommittedEnds, StoreError> {
        let state = self.state();
        let theirs = state
            .sessions
            .iter()
            .filter(|((of, _), row)| of == user && row.end_unconfirmed);
        let sessions = theirs.filter_map(|((_, session), row)| Some((session.clone(), row.known.ended_at?)));
        let all = state.ends_of_all.get(user).filter(|(_, unconfirmed)| *unconfirmed);
        Ok(CommittedEnds {
            sessions: sessions.collect(),
            all: all.map(|(all, _)| all.clone()),
        })
    }

    async fn confirm_ends(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError> {
        let mut state = self.state();
        for (session, ended_at) in &ends.sessions {
            if let Some(row) = state.sessions.get_mut(&(user.clone(), session.clone()))
                && row.known.ended_at <= Some(*ended_at)
            {
                row.end_unconfirmed = false;
            }
        }
        if let Some(confirmed) = &ends.all
            && let Some((all, unconfirmed)) = state.ends_of_all.get_mut(user)
            && all.ended_at <= confirmed.ended_at
        {
            *unconfirmed = false;
        }
        Ok(())
    }

    async fn sessions_of(&self, user: &UserId, alive: &[SessionId]) -> Result<Vec<SessionRecord>, StoreError> {
        let now = Timestamp::from(self.now());
        let state = self.state();
        let all = state.ends_of_all.get(user).map(|(all, _)| all);
        let theirs = state.sessions.iter().filter(|((of, session), row)| {
            let is_alive = row.known.is_open(now) || alive.contains(session);
            of == user && is_alive && row.known.ended_at(session, all).is_none()
        });
        let mut sessions: Vec<_> = theirs
            .map(|((_, session), row)| SessionRecord {
                session: session.clone(),
                opened_at: row.known.opened_at,
                origin: row.origin.clone(),
                left: row.known.expires_at.since(now),
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
        let state = self.state();
        let kept_at = state.deadlines_kept_at;
        let may_be_alive = |row: &SessionRow| {
            row.known.ended_at.is_none() && kept_at.is_none_or(|kept_at| kept_at < row.known.expires_at.plus(SLACK))
        };
        let live = state.sessions.iter().filter(|(_, row)| may_be_alive(row));
        let page = live
            .map(|(key, _)| key)
            .filter(|key| after.is_none_or(|after| *key > after));
        Ok(page.take(limit).cloned().collect())
    }

    async fn save_deadlines(&self, deadlines: &[((UserId, SessionId), SessionDeadline)]) -> Result<(), StoreError> {
        let now = Timestamp::from(self.now());
        let mut state = self.state();
        for (key, live) in deadlines {
            if let Some(row) = state.sessions.get_mut(key) {
                row.known.expires_at = row.known.expires_at.max(now.plus(live.left));
                row.known.latest_expiry = row.known.latest_expiry.max(live.latest_expiry);
            }
        }
        Ok(())
    }

    async fn mark_deadlines_saved(&self, ago: Duration) -> Result<(), StoreError> {
        let kept_at = Timestamp::from(self.now()).minus(ago);
        let mut state = self.state();
        state.deadlines_kept_at = state.deadlines_kept_at.max(Some(kept_at));
        Ok(())
    }

    async fn reset_deadlines(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError> {
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

impl MemoryStore {
    /// Records the sign-in that opened a session, unless it is to be checked; true if it was recorded.
    fn record_opening(
        &self,
        state: &mut State,
        opening: &SessionOpenRequest,
        sign_in: &OpeningSignIn<'_>,
        now: SystemTime,
    ) -> bool {
        let (user, origin) = (&opening.user, &opening.origin);
        let findings = state.find_sign_in(user, origin, now);
        let has_open_alerts = state.open_alerts_of(user).next().is_some();
        let is_plain = findings.has_nothing_new() && !has_open_alerts && (sign_in.raises_no_alert)(&findings);
        if is_plain {
            state.record_sign_in(&self.audit, (user, origin), &findings, sign_in.receipt, now);
        }
        is_plain
    }
}

/// Row of a session that is opened now.
fn opened_row(
    before: Option<&SessionRow>,
    opening: &SessionOpenRequest,
    life: &SessionLife,
    now: Timestamp,
) -> SessionRow {
    let goes_on = before.filter(|row| row.known.is_open(now));
    SessionRow {
        known: KnownSession {
            opened_at: life.opened_at,
            expires_at: now.plus(life.left),
            ended_at: None,
            newest_token: opening.issued_at.max(before.and_then(|row| row.known.newest_token)),
            latest_expiry: life.latest_expiry,
        },
        failures: goes_on.map_or(0, |row| row.failures),
        origin: opening.origin.clone(),
        end_unconfirmed: false,
    }
}
