//! Decisions on sessions that both stores share: whether one may be opened, which ones a request ends, and which ones are forgotten.

use std::time::Duration;

use protocol::id::SessionId;
use protocol::time::Timestamp;

use crate::sessions::{
    AnnouncedEnd, EndAllSessions, EndSessionsRequest, SessionLife, SessionOpenOutcome, SessionOpenRequest,
    SessionSelector,
};

/// Stored facts of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownSession {
    pub(crate) opened_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) newest_token: Option<Timestamp>,
    pub(crate) latest_expiry: Option<Timestamp>,
}

impl KnownSession {
    /// True if the session has neither ended nor expired, as far as the store knows.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// Time of its end, by itself or with all others.
    pub(crate) fn ended_at(&self, session: &SessionId, all: Option<&EndAllSessions>) -> Option<Timestamp> {
        let with_all = all.filter(|all| all.covers(session) && self.opened_at <= all.ended_at);
        self.ended_at.or(with_all.map(|all| all.ended_at))
    }

    /// Upper bound of the issue times of tokens presented before its end. For a session that ended by itself the shared state
    /// reported the bound; for another one, tokens were presented before it expired.
    fn newest_token(&self) -> Option<Timestamp> {
        match self.ended_at {
            Some(_) => self.newest_token,
            None => self.newest_token.max(Some(self.expires_at.plus(TOKEN_LEEWAY))),
        }
    }
}

impl EndAllSessions {
    /// True if the end applies to this session.
    pub(crate) fn covers(&self, session: &SessionId) -> bool {
        self.except.as_ref() != Some(session)
    }
}

/// Decides whether a session may be opened. Tokens without `sid` share one session: once ended, it is opened again only by a
/// token that is newer than the end and than every token presented before. Any other ended session stays ended. An unknown
/// session ended with all others if its token was issued before that end, or does not state when.
pub(crate) fn open(
    known: Option<&KnownSession>,
    all: Option<&EndAllSessions>,
    opening: &SessionOpenRequest,
    timeout: Duration,
    now: Timestamp,
) -> SessionOpenOutcome {
    let issued_after = |time| opening.issued_at.is_some_and(|issued_at| issued_at > time);
    // Later than any end, also if both fall into one tick of the clock.
    let anew = || {
        let ends = [known.and_then(|known| known.ended_at), all.map(|all| all.ended_at)];
        let ends = ends.into_iter().flatten().map(|ended_at| ended_at.plus(TICK));
        SessionOpenOutcome::Open(SessionLife {
            left: timeout,
            timeout,
            opened_at: ends.fold(now, Timestamp::max),
            sign_in_recorded: false,
            newest_token: opening.issued_at.max(known.and_then(|known| known.newest_token)),
            latest_expiry: presented_expiry(known, opening),
        })
    };
    let Some(known) = known else {
        let all = all.filter(|all| all.covers(&opening.session));
        return if all.is_none_or(|all| issued_after(all.ended_at)) {
            anew()
        } else {
            SessionOpenOutcome::Outdated
        };
    };
    if let Some(ended_at) = known.ended_at(&opening.session, all) {
        let is_new = issued_after(ended_at) && known.newest_token().is_none_or(issued_after);
        return if opening.session.is_default() && is_new {
            anew()
        } else {
            SessionOpenOutcome::Ended(ended_at)
        };
    }
    if now < known.expires_at {
        SessionOpenOutcome::Open(SessionLife {
            left: known.expires_at.since(now),
            timeout,
            opened_at: known.opened_at,
            sign_in_recorded: false,
            // Redis lost what it knew of the session's tokens; none was issued further ahead than this.
            newest_token: known.newest_token.max(Some(now.plus(TOKEN_LEEWAY))),
            latest_expiry: presented_expiry(Some(known), opening).max(opening.latest_expiry),
        })
    } else if issued_after(known.expires_at) {
        anew()
    } else {
        SessionOpenOutcome::IdledOut
    }
}

/// Latest expiry of the tokens presented in a session, the one that is presented now included.
pub(crate) fn presented_expiry(known: Option<&KnownSession>, opening: &SessionOpenRequest) -> Option<Timestamp> {
    opening.expires_at.max(known.and_then(|known| known.latest_expiry))
}

/// True if a request selects this session.
pub(crate) fn is_selected(ending: &EndSessionsRequest<'_>, session: &SessionId) -> bool {
    match &ending.which {
        SessionSelector::One(one) => session == one,
        SessionSelector::AllExcept(except) => session != except,
        SessionSelector::All => true,
    }
}

/// Sessions that a request ends: selected, not ended, and alive in the store or in the shared state. A session that is alive
/// there may be unknown here if the database was restored from a backup.
pub(crate) fn to_end(
    known: &[(SessionId, KnownSession)],
    ending: &EndSessionsRequest<'_>,
    all: Option<&EndAllSessions>,
    now: Timestamp,
) -> Vec<(SessionId, Option<KnownSession>)> {
    let unknown = ending
        .alive
        .iter()
        .filter(|alive| known.iter().all(|(session, _)| session != *alive));
    let unknown = unknown.map(|session| (session.clone(), None));
    let known = known.iter().filter(|(session, row)| {
        let is_alive = row.is_open(now) || ending.alive.contains(session);
        is_alive && row.ended_at(session, all).is_none()
    });
    let known = known.map(|(session, row)| (session.clone(), Some(*row)));
    known
        .chain(unknown)
        .filter(|(session, _)| is_selected(ending, session))
        .collect()
}

/// Time of an end now: not earlier than any of the sessions was opened, whatever the clock says.
pub(crate) fn end_time(ending: &[(SessionId, Option<KnownSession>)], now: Timestamp) -> Timestamp {
    let opened = ending.iter().filter_map(|(_, row)| row.map(|row| row.opened_at));
    opened.fold(now, Timestamp::max)
}

/// Row of an ended session, and whether the session was alive.
pub(crate) fn end(known: Option<KnownSession>, announced: AnnouncedEnd, ended_at: Timestamp) -> (KnownSession, bool) {
    let seen = announced.newest_token.unwrap_or(ended_at.plus(TOKEN_LEEWAY));
    let was_alive = announced.was_alive || known.is_some_and(|known| known.is_open(ended_at));
    let ended = KnownSession {
        opened_at: known.map_or(ended_at, |known| known.opened_at),
        expires_at: known.map_or(ended_at, |known| known.expires_at),
        ended_at: Some(ended_at),
        newest_token: known.and_then(|known| known.newest_token).max(Some(seen)),
        latest_expiry: known.and_then(|known| known.latest_expiry).max(announced.latest_expiry),
    };
    (ended, was_alive)
}

/// True if the record of a session may be deleted. Until then it refuses the tokens that were presented in the session. All deadlines
/// extended before `saved_at` are stored; an ended session is kept for `kept`.
pub(crate) fn may_be_forgotten(
    known: &KnownSession,
    saved_at: Option<Timestamp>,
    kept: Duration,
    now: Timestamp,
) -> bool {
    if let Some(ended_at) = known.ended_at {
        return ended_at.max(known.latest_expiry.unwrap_or(ended_at)).plus(kept) <= now;
    }
    let expired_at = known.expires_at;
    // A session of before expiries were stored.
    let latest_expiry = known.latest_expiry.unwrap_or(expired_at.plus(kept));
    let is_saved = saved_at.is_some_and(|saved_at| expired_at.plus(SLACK) < saved_at);
    is_saved && expired_at.max(latest_expiry).plus(EXPIRED_KEPT_FOR) <= now
}

/// Retention of an expired session after its last token has expired.
pub(crate) const EXPIRED_KEPT_FOR: Duration = Duration::from_hours(24);

/// Clock tolerance of a token's time of issue.
const TOKEN_LEEWAY: Duration = Duration::from_secs(60);

/// Least difference of two distinct times.
const TICK: Duration = Duration::from_millis(1);

/// Lag of a session's stored deadline behind that in Redis, which is copied each minute.
pub(crate) const SLACK: Duration = Duration::from_mins(2);
