//! Table of the sessions with a socket on this gateway, and of what is due for each: pure decisions about time. The monitor queries the
//! bus and carries out the effects.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bus::{SessionKey, SessionState, SessionTtl};
use tokio::time::Instant;

use crate::metrics::SessionDeadline;

/// Sessions of this gateway, with their sockets.
#[derive(Debug)]
pub(super) struct SessionTable<M> {
    sessions: HashMap<SessionKey, SessionEntry<M>>,
    due: BTreeSet<(Instant, SessionKey)>,
    /// Sessions whose last socket left with activity that has not been reported.
    left_active: Vec<SessionKey>,
    /// Deadlines that were applied, and how late, since the last [`SessionTable::take_late`].
    late: Vec<(SessionDeadline, Duration)>,
    /// Number of possible losses of messages.
    losses: u64,
    last_id: u64,
}

/// Id of a socket in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberId(u64);

/// Query of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TtlQuery {
    /// Reads the state of the session.
    Check(SessionKey),
    /// Reads the state and reports activity.
    Renew(SessionKey),
}

/// Effect of an answer of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SessionEffect<M> {
    /// Warn these sockets that their session expires after this time.
    Warn(Vec<M>, Duration),
    /// Notify these sockets that their session, which was about to expire, expires after this time.
    Extended(Vec<M>, Duration),
    /// Close these sockets: their session has ended.
    Close(Vec<M>, EndReason),
    /// Have a worker reopen the session on behalf of this socket: the bus has lost it before its deadline, or its end was announced under
    /// this number.
    Reopen(M, Option<u64>),
}

/// Warning, and how late the latest socket is warned, if that is known.
type TimedWarning<M> = (SessionEffect<M>, Option<Duration>);

/// Reason for the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The session expired without activity.
    Idle,
    /// The session was ended.
    Ended,
}

#[derive(Debug)]
struct SessionEntry<M> {
    members: Vec<Member<M>>,
    generation: u64,
    warns: Instant,
    expires: Instant,
    /// Warning lead: time between a warning and the end.
    lead: Duration,
    /// Time of the first join on this gateway.
    joined: Instant,
    /// Time of the last report of activity.
    reported: Option<Instant>,
    /// True if there was activity since the last report.
    is_active: bool,
    /// True while a query is pending.
    is_queried: bool,
    /// True if the bus is to be queried at once, or again after the pending answer, which may be older than the hint.
    is_hinted: bool,
    /// Key in the queue.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Member<M> {
    id: MemberId,
    socket: M,
    /// Expiry of the socket's token.
    token_ends: Instant,
    /// Time of the join, or of the last renewal of the token.
    since: Instant,
    /// Deadline of the last warning.
    warned: Option<Deadline>,
    /// Generation in which its session was about to expire; `None` once the socket knows of a later deadline.
    expiring: Option<u64>,
    /// True while the socket waits for the answer to `security:extend_session`, which is its notice of an extension.
    is_extending: bool,
}

/// Deadline that a socket reaches first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    /// Expiry of its session, in this generation.
    Session(u64),
    /// Expiry of its token.
    Token(Instant),
}

impl<M: Clone> SessionTable<M> {
    /// Adds a socket, with the expiry of its token, to a session that was alive after this many `losses`. If messages may have been lost
    /// since then, the session's end may be among them, and the bus is queried at once.
    pub(super) fn join(
        &mut self,
        key: &SessionKey,
        (socket, token_ends): (M, Instant),
        (alive, losses): (&SessionTtl, u64),
        now: Instant,
    ) -> MemberId {
        self.last_id += 1;
        let id = MemberId(self.last_id);
        let session = self
            .sessions
            .entry(key.clone())
            .or_insert_with(|| SessionEntry::new(alive, now));
        session.update(alive, now);
        session.is_hinted |= self.losses != losses;
        session.members.push(Member {
            id,
            socket,
            token_ends,
            since: now,
            warned: None,
            expiring: None,
            is_extending: false,
        });
        session.is_hinted |= session.has_extended_sockets();
        self.plan(key, None);
        id
    }

    /// Removes a socket, and a session without sockets.
    pub(super) fn leave(&mut self, key: &SessionKey, member: MemberId) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.members.retain(|other| other.id != member);
        if session.members.is_empty() {
            if session.is_active {
                self.left_active.push(key.clone());
            }
            self.remove(key);
        }
    }

    /// Records the expiry of a socket's new token.
    pub(super) fn renew(&mut self, key: &SessionKey, member: MemberId, token_ends: Instant, now: Instant) {
        if let Some(session) = self.sessions.get_mut(key) {
            if let Some(member) = session.members.iter_mut().find(|other| other.id == member) {
                member.token_ends = token_ends;
                member.since = now;
            }
            self.plan(key, None);
        }
    }

    /// Records that a socket has asked for the extension of its session.
    pub(super) fn begin_extension(&mut self, key: &SessionKey, is_socket: impl Fn(&M) -> bool) {
        if let Some(member) = self.member(key, is_socket) {
            member.is_extending = true;
        }
    }

    /// Records the answer to [`SessionTable::begin_extension`]. After a failure the session may have been extended nevertheless: the bus is
    /// queried at once.
    pub(super) fn end_extension(&mut self, key: &SessionKey, is_socket: impl Fn(&M) -> bool, is_extended: bool) {
        if let Some(member) = self.member(key, is_socket) {
            member.is_extending = false;
            if is_extended {
                member.expiring = None;
            } else {
                self.hint(key);
            }
        }
    }

    /// Records activity in a session.
    pub(super) fn activity(&mut self, key: &SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.is_active = true;
            self.plan(key, None);
        }
    }

    /// Has the bus queried about a session at once.
    pub(super) fn hint(&mut self, key: &SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.is_hinted = true;
            self.plan(key, None);
        }
    }

    /// Has the bus queried about all sessions at once: messages may have been lost.
    pub(super) fn hint_all(&mut self) {
        self.losses += 1;
        let keys: Vec<_> = self.sessions.keys().cloned().collect();
        keys.iter().for_each(|key| self.hint(key));
    }

    /// Number of possible losses of messages so far.
    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// True if the session has expired as far as is known here: the bus may know of activity on other gateways.
    pub(super) fn seems_expired(&self, key: &SessionKey, now: Instant) -> bool {
        self.sessions.get(key).is_none_or(|session| session.expires <= now)
    }

    /// Queries that are due. Each session has one pending query at most.
    pub(super) fn due(&mut self, now: Instant) -> Vec<TtlQuery> {
        let mut queries: Vec<_> = self.left_active.drain(..).map(TtlQuery::Renew).collect();
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            self.due.remove(&(at, key.clone()));
            if let Some(session) = self.sessions.get_mut(&key) {
                session.due = None;
                session.is_queried = true;
                session.is_hinted = false;
                if session.is_active {
                    session.is_active = false;
                    session.reported = Some(now);
                    queries.push(TtlQuery::Renew(key));
                } else {
                    queries.push(TtlQuery::Check(key));
                }
            }
        }
        queries
    }

    /// Time at which the next query is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Applies the state of a session as the bus reported it.
    pub(super) fn answered(&mut self, key: &SessionKey, state: SessionState, now: Instant) -> Vec<SessionEffect<M>> {
        let Some(session) = self.sessions.get_mut(key) else {
            return Vec::new();
        };
        session.is_queried = false;
        let effect = match state {
            SessionState::Alive(alive) => return self.alive(key, &alive, now),
            SessionState::Ended => self.end(key, EndReason::Ended, now),
            SessionState::Unknown if session.expires <= now => self.end(key, EndReason::Idle, now),
            SessionState::Unknown => session.reopen(None),
            SessionState::Ending(announced) => session.reopen(Some(announced)),
        };
        effect.into_iter().collect()
    }

    /// Repeats a query after a pause: it failed, or its answer calls for another one.
    pub(super) fn retry(&mut self, query: &TtlQuery, now: Instant) {
        let (TtlQuery::Check(key) | TtlQuery::Renew(key)) = query;
        if let Some(session) = self.sessions.get_mut(key) {
            session.is_queried = false;
            session.is_active |= matches!(query, TtlQuery::Renew(_));
            self.plan(key, Some(now + RETRY));
        }
    }

    /// Removes a session that has ended; its sockets are to be closed.
    pub(super) fn end(&mut self, key: &SessionKey, end: EndReason, now: Instant) -> Option<SessionEffect<M>> {
        let session = self.remove(key)?;
        if end == EndReason::Idle {
            let late = now.saturating_duration_since(session.expires);
            self.late.push((SessionDeadline::Idle, late));
        }
        let sockets = session.members.into_iter().map(|member| member.socket);
        Some(SessionEffect::Close(sockets.collect(), end))
    }

    /// Deadlines that were applied since the last call, and how late.
    pub(super) fn take_late(&mut self) -> Vec<(SessionDeadline, Duration)> {
        std::mem::take(&mut self.late)
    }

    /// Applies the deadline of a live session.
    fn alive(&mut self, key: &SessionKey, alive: &SessionTtl, now: Instant) -> Vec<SessionEffect<M>> {
        let Some(session) = self.sessions.get_mut(key) else {
            return Vec::new();
        };
        let due = (session.generation == alive.generation).then_some(session.warns);
        session.update(alive, now);
        let (warned, late) = session.warn(alive, due, now).unzip();
        let extended = session.extend(alive);
        self.late
            .extend(late.flatten().map(|late| (SessionDeadline::Warning, late)));
        self.plan(key, None);
        extended.into_iter().chain(warned).collect()
    }

    fn member(&mut self, key: &SessionKey, is_socket: impl Fn(&M) -> bool) -> Option<&mut Member<M>> {
        let members = &mut self.sessions.get_mut(key)?.members;
        members.iter_mut().find(|member| is_socket(&member.socket))
    }

    fn remove(&mut self, key: &SessionKey) -> Option<SessionEntry<M>> {
        let session = self.sessions.remove(key)?;
        if let Some(due) = session.due {
            self.due.remove(&(due, key.clone()));
        }
        Some(session)
    }

    /// Queues the next query of a session, no earlier than `at_least`.
    fn plan(&mut self, key: &SessionKey, at_least: Option<Instant>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let next = (!session.is_queried).then(|| at_least.map_or(session.next(), |at| at.max(session.next())));
        let before = std::mem::replace(&mut session.due, next);
        if let Some(before) = before {
            self.due.remove(&(before, key.clone()));
        }
        if let Some(next) = next {
            self.due.insert((next, key.clone()));
        }
    }
}

impl<M: Clone> SessionEntry<M> {
    fn new(alive: &SessionTtl, now: Instant) -> Self {
        Self {
            members: Vec::with_capacity(1),
            generation: alive.generation,
            warns: now + alive.warns_in,
            expires: now + alive.left,
            lead: alive.lead,
            joined: now,
            reported: None,
            is_active: false,
            is_queried: false,
            is_hinted: false,
            due: None,
        }
    }

    /// The session counts as queried until the worker has answered.
    fn reopen(&mut self, announced: Option<u64>) -> Option<SessionEffect<M>> {
        self.is_queried = true;
        let member = self.members.first()?;
        Some(SessionEffect::Reopen(member.socket.clone(), announced))
    }

    /// Ignores an older generation: answers may arrive out of order.
    fn update(&mut self, alive: &SessionTtl, now: Instant) {
        if alive.generation >= self.generation {
            self.generation = alive.generation;
            self.warns = now + alive.warns_in;
            self.expires = now + alive.left;
            self.lead = alive.lead;
        }
    }

    /// Warns each socket once of the deadline that it reaches first, and returns how late the latest one is warned, if that is known: the
    /// warning of the session was `due` then.
    fn warn(&mut self, alive: &SessionTtl, due: Option<Instant>, now: Instant) -> Option<TimedWarning<M>> {
        if alive.generation != self.generation {
            return None;
        }
        let (session_warned, expires, lead) = (alive.warns_in.is_zero(), self.expires, self.lead);
        let (mut sockets, mut latest) = (Vec::new(), None);
        for member in &mut self.members {
            if session_warned {
                member.expiring = Some(self.generation);
            }
            let (deadline, is_due, due) = if member.token_ends < expires {
                let is_due = member.token_ends <= now + lead;
                (
                    Deadline::Token(member.token_ends),
                    is_due,
                    member.token_ends.checked_sub(lead),
                )
            } else {
                (Deadline::Session(self.generation), session_warned, due)
            };
            if is_due && member.warned.replace(deadline) != Some(deadline) {
                sockets.push(member.socket.clone());
                // No warning is due before its socket, or the token, is there.
                let late = due.map(|due| now.saturating_duration_since(due.max(member.since)));
                latest = latest.max(late);
            }
        }
        (!sockets.is_empty()).then_some((SessionEffect::Warn(sockets, alive.left), latest))
    }

    /// Notifies each socket once of a later deadline of a session that was about to expire.
    fn extend(&mut self, alive: &SessionTtl) -> Option<SessionEffect<M>> {
        if alive.generation != self.generation || alive.warns_in.is_zero() {
            return None;
        }
        let mut sockets = Vec::new();
        for member in self.members.iter_mut().filter(|member| !member.is_extending) {
            if member.expiring.is_some_and(|generation| generation < self.generation) {
                member.expiring = None;
                sockets.push(member.socket.clone());
            }
        }
        (!sockets.is_empty()).then_some(SessionEffect::Extended(sockets, alive.left))
    }

    /// True if a socket was about to expire with its session in an earlier generation.
    fn has_extended_sockets(&self) -> bool {
        let mut expiring = self.members.iter().filter_map(|member| member.expiring);
        expiring.any(|generation| generation < self.generation)
    }

    /// Time of the next query: at a hint, for a warning, at the deadline, or to report activity.
    fn next(&self) -> Instant {
        if self.is_hinted {
            return self.joined;
        }
        let warnings = self.members.iter().filter_map(|member| self.warning_of(member));
        let end = warnings.fold(self.expires, Instant::min);
        let Some(reported) = self.reported.filter(|_| self.is_active) else {
            return if self.is_active { self.joined } else { end };
        };
        // Delayed, unless the warning would be due before.
        let delayed = reported + REPORT_EVERY;
        if delayed < self.warns { delayed } else { reported }
    }

    /// Time at which a socket is to be warned; `None` after the warning of this deadline.
    fn warning_of(&self, member: &Member<M>) -> Option<Instant> {
        let (deadline, at) = if member.token_ends < self.expires {
            // Not before the join: the lead of a token may start earlier.
            let at = member.token_ends.checked_sub(self.lead).unwrap_or(self.joined);
            (Deadline::Token(member.token_ends), at)
        } else {
            (Deadline::Session(self.generation), self.warns)
        };
        (member.warned != Some(deadline)).then_some(at)
    }
}

impl<M> Default for SessionTable<M> {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            due: BTreeSet::new(),
            left_active: Vec::new(),
            late: Vec::new(),
            losses: 0,
            last_id: 0,
        }
    }
}

/// Shortest time between two reports of one session's activity.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Pause before a query is repeated.
const RETRY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
