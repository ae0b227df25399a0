//! The sessions that have a socket here, and when something is due for one: pure decisions about time. The task beside it asks
//! the bus what is due, and obeys.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bus::{SessionKey, SessionState, SessionTtl};
use tokio::time::Instant;

/// All sessions of this gateway, with their sockets.
#[derive(Debug)]
pub(super) struct Table<M> {
    sessions: HashMap<SessionKey, Session<M>>,
    due: BTreeSet<(Instant, SessionKey)>,
    /// Sessions whose last socket left with activity that has not been passed on.
    left_active: Vec<SessionKey>,
    named: u64,
}

/// A socket's place in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberId(u64);

/// What the bus is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Where the session stands.
    Poke(SessionKey),
    /// The same, and that there was activity.
    Touch(SessionKey),
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect<M> {
    /// Tell these sockets that their session has so long.
    Warn(Vec<M>, Duration),
    /// End these sockets: their session is over.
    End(Vec<M>, Over),
    /// Nobody knows the session though its deadline lies ahead, or its end was announced with this number: have a worker say whether it
    /// goes on, on behalf of this socket.
    Reopen(M, Option<u64>),
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// There was no activity.
    Idle,
    /// Someone ended it.
    Ended,
}

#[derive(Debug)]
struct Session<M> {
    members: Vec<Member<M>>,
    generation: u64,
    warns: Instant,
    expires: Instant,
    /// How long before an end the warning is due.
    lead: Duration,
    /// When it came here.
    begun: Instant,
    /// When activity was last passed on.
    touched: Option<Instant>,
    /// There was activity that has not been passed on.
    owed: bool,
    /// The bus is being asked.
    asking: bool,
    /// The bus is to be asked at once, or once more when it has answered: what is on its way may be older than the hint.
    hinted: bool,
    /// Where it stands in the queue.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Member<M> {
    id: MemberId,
    socket: M,
    /// The end of its own token.
    token_ends: Instant,
    /// Of which end it was last warned.
    warned: Option<End>,
}

/// What ends a socket first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// That of its session, in this generation.
    Session(u64),
    /// That of its token.
    Token(Instant),
}

impl<M: Clone> Table<M> {
    /// Gives a socket, whose token ends then, its place in a session that is alive.
    pub(super) fn join(
        &mut self,
        key: &SessionKey,
        (socket, token_ends): (M, Instant),
        alive: &SessionTtl,
        now: Instant,
    ) -> MemberId {
        self.named += 1;
        let id = MemberId(self.named);
        let session = self
            .sessions
            .entry(key.clone())
            .or_insert_with(|| Session::new(alive, now));
        session.learn(alive, now);
        session.members.push(Member {
            id,
            socket,
            token_ends,
            warned: None,
        });
        self.plan(key, None);
        id
    }

    /// Frees a place; a session without sockets is nothing to this gateway.
    pub(super) fn leave(&mut self, key: &SessionKey, member: MemberId) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.members.retain(|other| other.id != member);
        if session.members.is_empty() {
            if session.owed {
                self.left_active.push(key.clone());
            }
            self.forget(key);
        }
    }

    /// A socket has another token.
    pub(super) fn renew(&mut self, key: &SessionKey, member: MemberId, token_ends: Instant) {
        if let Some(session) = self.sessions.get_mut(key) {
            let renewed = session.members.iter_mut().find(|other| other.id == member);
            renewed.into_iter().for_each(|member| member.token_ends = token_ends);
            self.plan(key, None);
        }
    }

    /// A socket of the session said something.
    pub(super) fn activity(&mut self, key: &SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.owed = true;
            self.plan(key, None);
        }
    }

    /// Something may have come for a session.
    pub(super) fn hinted(&mut self, key: &SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.hinted = true;
            self.plan(key, None);
        }
    }

    /// Something may have come for any session.
    pub(super) fn all_hinted(&mut self) {
        let keys: Vec<_> = self.sessions.keys().cloned().collect();
        keys.iter().for_each(|key| self.hinted(key));
    }

    /// Whether the session is over as far as is known here: the bus may know of activity elsewhere.
    pub(super) fn seems_over(&self, key: &SessionKey, now: Instant) -> bool {
        self.sessions.get(key).is_none_or(|session| session.expires <= now)
    }

    /// What is to be asked now. Each session is asked about once at a time.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Ask> {
        let mut asks: Vec<_> = self.left_active.drain(..).map(Ask::Touch).collect();
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            self.due.remove(&(at, key.clone()));
            if let Some(session) = self.sessions.get_mut(&key) {
                session.due = None;
                session.asking = true;
                session.hinted = false;
                if session.owed {
                    session.owed = false;
                    session.touched = Some(now);
                    asks.push(Ask::Touch(key));
                } else {
                    asks.push(Ask::Poke(key));
                }
            }
        }
        asks
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The bus says where a session stands.
    pub(super) fn answered(&mut self, key: &SessionKey, state: SessionState, now: Instant) -> Option<Effect<M>> {
        let session = self.sessions.get_mut(key)?;
        session.asking = false;
        match state {
            SessionState::Alive(alive) => {
                session.learn(&alive, now);
                let warned = session.warn(&alive, now);
                self.plan(key, None);
                warned
            }
            SessionState::Ended => self.over(key, Over::Ended),
            SessionState::Unknown if session.expires <= now => self.over(key, Over::Idle),
            SessionState::Unknown => session.reopen(None),
            SessionState::Ending(announced) => session.reopen(Some(announced)),
        }
    }

    /// The bus could not be asked, or what it said calls for another question: that comes a little later.
    pub(super) fn again(&mut self, ask: &Ask, now: Instant) {
        let (Ask::Poke(key) | Ask::Touch(key)) = ask;
        if let Some(session) = self.sessions.get_mut(key) {
            session.asking = false;
            session.owed |= matches!(ask, Ask::Touch(_));
            self.plan(key, Some(now + RETRY));
        }
    }

    /// A session is over: its sockets are to end.
    pub(super) fn over(&mut self, key: &SessionKey, over: Over) -> Option<Effect<M>> {
        let session = self.forget(key)?;
        let sockets = session.members.into_iter().map(|member| member.socket);
        Some(Effect::End(sockets.collect(), over))
    }

    fn forget(&mut self, key: &SessionKey) -> Option<Session<M>> {
        let session = self.sessions.remove(key)?;
        if let Some(due) = session.due {
            self.due.remove(&(due, key.clone()));
        }
        Some(session)
    }

    /// Puts a session in its place in the queue, no earlier than `at_least`.
    fn plan(&mut self, key: &SessionKey, at_least: Option<Instant>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let next = (!session.asking).then(|| at_least.map_or(session.next(), |at| at.max(session.next())));
        let before = std::mem::replace(&mut session.due, next);
        if let Some(before) = before {
            self.due.remove(&(before, key.clone()));
        }
        if let Some(next) = next {
            self.due.insert((next, key.clone()));
        }
    }
}

impl<M: Clone> Session<M> {
    fn new(alive: &SessionTtl, now: Instant) -> Self {
        Self {
            members: Vec::with_capacity(1),
            generation: alive.generation,
            warns: now + alive.warns_in,
            expires: now + alive.left,
            lead: alive.lead,
            begun: now,
            touched: None,
            owed: false,
            asking: false,
            hinted: false,
            due: None,
        }
    }

    /// It is asked about again when that has been done.
    fn reopen(&mut self, announced: Option<u64>) -> Option<Effect<M>> {
        self.asking = true;
        let member = self.members.first()?;
        Some(Effect::Reopen(member.socket.clone(), announced))
    }

    /// Answers overtake each other: an older generation says nothing any more.
    fn learn(&mut self, alive: &SessionTtl, now: Instant) {
        if alive.generation >= self.generation {
            self.generation = alive.generation;
            self.warns = now + alive.warns_in;
            self.expires = now + alive.left;
            self.lead = alive.lead;
        }
    }

    /// Each socket is warned once of what ends it first.
    fn warn(&mut self, alive: &SessionTtl, now: Instant) -> Option<Effect<M>> {
        if alive.generation != self.generation {
            return None;
        }
        let (session_warned, expires, lead) = (alive.warns_in.is_zero(), self.expires, self.lead);
        let mut sockets = Vec::new();
        for member in &mut self.members {
            let (end, is_due) = if member.token_ends < expires {
                (End::Token(member.token_ends), member.token_ends <= now + lead)
            } else {
                (End::Session(self.generation), session_warned)
            };
            if is_due && member.warned.replace(end) != Some(end) {
                sockets.push(member.socket.clone());
            }
        }
        (!sockets.is_empty()).then_some(Effect::Warn(sockets, alive.left))
    }

    /// When the bus is to be asked next: at a hint, for a warning, at the deadline, to pass on activity.
    fn next(&self) -> Instant {
        if self.hinted {
            return self.begun;
        }
        let warnings = self.members.iter().filter_map(|member| self.warning_of(member));
        let end = warnings.fold(self.expires, Instant::min);
        let Some(touched) = self.touched.filter(|_| self.owed) else {
            return if self.owed { self.begun } else { end };
        };
        // Held back, unless the warning would come before.
        let held_until = touched + TOUCH_EVERY;
        if held_until < self.warns { held_until } else { touched }
    }

    /// When a socket is to be warned; never again of an end it was warned of.
    fn warning_of(&self, member: &Member<M>) -> Option<Instant> {
        let (end, at) = if member.token_ends < self.expires {
            // Not earlier than it came: a token may end before its lead has begun.
            let at = member.token_ends.checked_sub(self.lead).unwrap_or(self.begun);
            (End::Token(member.token_ends), at)
        } else {
            (End::Session(self.generation), self.warns)
        };
        (member.warned != Some(end)).then_some(at)
    }
}

impl<M> Default for Table<M> {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            due: BTreeSet::new(),
            left_active: Vec::new(),
            named: 0,
        }
    }
}

/// How often the activity of one session is passed on.
const TOUCH_EVERY: Duration = Duration::from_secs(5);
/// How long after a failure the bus is asked again.
const RETRY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
