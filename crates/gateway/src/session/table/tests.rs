//! Session table against a model of the bus.

use proptest::prelude::*;
use protocol::id::{SessionId, UserId};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(60);
const LEAD: Duration = Duration::from_secs(20);
/// Lifetime of tokens that do not matter.
const DAY: Duration = Duration::from_hours(24);

/// Session as the bus knows it.
struct ServerSession {
    generation: u64,
    deadline: Instant,
}

impl ServerSession {
    fn new(now: Instant) -> Self {
        Self {
            generation: 1,
            deadline: now + TIMEOUT,
        }
    }

    fn renew(&mut self, now: Instant) {
        if now < self.deadline {
            self.generation += 1;
            self.deadline = now + TIMEOUT;
        }
    }

    fn state(&self, now: Instant) -> SessionState {
        let left = self.deadline.saturating_duration_since(now);
        if left.is_zero() {
            return SessionState::Unknown;
        }
        SessionState::Alive(SessionTtl {
            generation: self.generation,
            left,
            warns_in: left.saturating_sub(LEAD),
            timeout: TIMEOUT,
            lead: LEAD,
            latest_token_expiry: None,
        })
    }

    fn alive(&self, now: Instant) -> SessionTtl {
        match self.state(now) {
            SessionState::Alive(alive) => alive,
            other => panic!("the session is {other:?}"),
        }
    }
}

/// Answers all due queries, as the bus does.
fn answer(table: &mut SessionTable<u32>, server: &mut ServerSession, now: Instant) -> Vec<SessionEffect<u32>> {
    let mut effects = Vec::new();
    for query in table.due(now) {
        let (TtlQuery::Check(key) | TtlQuery::Renew(key)) = &query;
        if matches!(query, TtlQuery::Renew(_)) {
            server.renew(now);
        }
        effects.extend(table.answered(key, server.state(now), now));
    }
    effects
}

fn key() -> SessionKey {
    SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new("s").unwrap(),
    }
}

#[derive(Debug, Clone)]
enum TableStep {
    Wait(u64),
    Activity,
    Elsewhere,
    Join,
}

fn step() -> impl Strategy<Value = TableStep> {
    prop_oneof![
        4 => (1u64..25_000).prop_map(TableStep::Wait),
        2 => Just(TableStep::Activity),
        1 => Just(TableStep::Elsewhere),
        1 => Just(TableStep::Join),
    ]
}

proptest! {
    /// Any sequence of events on any gateway: a socket is warned once in a generation and only within the lead, is notified of an extension
    /// once after a warning, and is closed once, at the deadline in the bus and never before.
    #[test]
    fn each_socket_is_warned_and_extended_once_in_a_generation_and_closed_once(steps in prop::collection::vec(step(), 1..40)) {
        let mut now = Instant::now();
        let mut server = ServerSession::new(now);
        let mut table = SessionTable::default();
        let mut sockets = 1;
        table.join(&key(), (0, now + DAY), (&server.alive(now), 0), now);
        let mut warned = std::collections::HashSet::new();
        let mut expiring = std::collections::HashSet::new();
        let mut closed = Vec::new();
        for step in steps.into_iter().chain([TableStep::Wait(200_000)]) {
            let until = match step {
                TableStep::Wait(millis) => now + Duration::from_millis(millis),
                TableStep::Activity => {
                    table.activity(&key());
                    now
                }
                TableStep::Elsewhere => {
                    server.renew(now);
                    now
                }
                TableStep::Join if now < server.deadline => {
                    table.join(&key(), (sockets, now + DAY), (&server.alive(now), 0), now);
                    sockets += 1;
                    now
                }
                TableStep::Join => now,
            };
            while let Some(next) = table.next().filter(|next| *next <= until) {
                now = now.max(next);
                for effect in answer(&mut table, &mut server, now) {
                    match effect {
                        SessionEffect::Warn(those, left) => {
                            prop_assert!(left <= LEAD);
                            for socket in those {
                                prop_assert!(warned.insert((socket, server.generation)), "{socket} was warned twice");
                                expiring.insert(socket);
                            }
                        }
                        SessionEffect::Extended(those, left) => {
                            prop_assert!(left > LEAD);
                            for socket in those {
                                prop_assert!(expiring.remove(&socket), "{socket} was not about to expire");
                                prop_assert!(!warned.contains(&(socket, server.generation)));
                            }
                        }
                        SessionEffect::Close(those, reason) => {
                            prop_assert!(now >= server.deadline);
                            prop_assert_eq!(reason, EndReason::Idle);
                            closed.extend(those);
                        }
                        SessionEffect::Reopen(..) => prop_assert!(false, "nothing was lost"),
                    }
                }
            }
            now = until;
        }
        closed.sort_unstable();
        prop_assert_eq!(closed, (0..sockets).collect::<Vec<_>>());
        prop_assert!((0..sockets).all(|socket| warned.contains(&(socket, server.generation))));
    }
}

#[test]
fn activity_is_reported_at_once_and_then_every_five_seconds() {
    let mut now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    table.join(&key(), (0, now + DAY), (&server.alive(now), 0), now);
    let start = now;
    let mut reported = Vec::new();
    for _ in 0..200 {
        if now < start + Duration::from_secs(11) {
            table.activity(&key());
        }
        let before = server.generation;
        answer(&mut table, &mut server, now);
        if server.generation > before {
            reported.push((now - start).as_millis());
        }
        now += Duration::from_millis(100);
    }
    assert_eq!(reported, [0, 5_000, 10_000, 15_000]);
}

#[test]
fn session_lost_before_its_deadline_is_reopened() {
    let now = Instant::now();
    let server = ServerSession::new(now);
    let mut table = SessionTable::default();
    table.join(&key(), (7, now + DAY), (&server.alive(now), 0), now);
    let at_the_warning = now + TIMEOUT - LEAD;
    assert_eq!(table.due(at_the_warning), [TtlQuery::Check(key())]);
    let lost = table.answered(&key(), SessionState::Unknown, at_the_warning);
    assert_eq!(lost, [SessionEffect::Reopen(7, None)]);
    assert!(
        table.due(at_the_warning + TIMEOUT).is_empty(),
        "the job of the worker is pending"
    );
    table.retry(&TtlQuery::Check(key()), at_the_warning);
    assert_eq!(table.due(at_the_warning + RETRY), [TtlQuery::Check(key())]);
}

#[test]
fn ended_session_closes_its_sockets() {
    let now = Instant::now();
    let server = ServerSession::new(now);
    let mut table = SessionTable::default();
    table.join(&key(), (1, now + DAY), (&server.alive(now), 0), now);
    table.join(&key(), (2, now + DAY), (&server.alive(now), 0), now);
    let ended = table.answered(&key(), SessionState::Ended, now);
    assert_eq!(ended, [SessionEffect::Close(vec![1, 2], EndReason::Ended)]);
    assert!(table.next().is_none() && table.seems_expired(&key(), now));
}

#[test]
fn session_that_is_joined_across_a_possible_loss_is_checked_at_once() {
    let now = Instant::now();
    let server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let losses = table.losses();
    table.hint_all();
    table.join(&key(), (1, now + DAY), (&server.alive(now), losses), now);
    assert_eq!(table.due(now), [TtlQuery::Check(key())]);
}

#[test]
fn session_that_is_joined_after_a_possible_loss_is_not_checked_for_it() {
    let now = Instant::now();
    let server = ServerSession::new(now);
    let mut table = SessionTable::default();
    table.hint_all();
    let losses = table.losses();
    table.join(&key(), (1, now + DAY), (&server.alive(now), losses), now);
    assert_eq!(table.due(now), []);
}

#[test]
fn delayed_activity_is_reported_when_the_last_socket_leaves() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let (first, last) = (
        table.join(&key(), (1, now + DAY), (&server.alive(now), 0), now),
        table.join(&key(), (2, now + DAY), (&server.alive(now), 0), now),
    );
    for seconds in [0, 1] {
        table.activity(&key());
        answer(&mut table, &mut server, now + Duration::from_secs(seconds));
    }
    assert_eq!(server.generation, 2, "the second report is delayed");
    table.leave(&key(), first);
    assert_eq!(table.due(now + Duration::from_secs(1)), []);
    table.leave(&key(), last);
    assert_eq!(table.due(now + Duration::from_secs(1)), [TtlQuery::Renew(key())]);
    assert_eq!(table.due(now + DAY), []);
}

#[test]
fn socket_is_warned_of_the_expiry_of_its_token_if_that_is_earlier() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let seconds = Duration::from_secs;
    let member = table.join(&key(), (1, now + seconds(30)), (&server.alive(now), 0), now);
    table.join(&key(), (2, now + DAY), (&server.alive(now), 0), now);
    assert_eq!(table.next(), Some(now + seconds(10)));
    let warned = answer(&mut table, &mut server, now + seconds(10));
    assert_eq!(warned, [SessionEffect::Warn(vec![1], seconds(50))]);
    // Activity extends the session, not the token. The session was not about to expire.
    table.activity(&key());
    assert_eq!(answer(&mut table, &mut server, now + seconds(20)), []);
    // A new token does; then both sockets are warned of the session's expiry, once.
    table.renew(&key(), member, now + DAY, now + seconds(20));
    assert_eq!(table.next(), Some(now + seconds(60)));
    let warned = answer(&mut table, &mut server, now + seconds(60));
    assert_eq!(warned, [SessionEffect::Warn(vec![1, 2], LEAD)]);
    assert_eq!(table.next(), Some(now + seconds(80)));
}

#[test]
fn session_extended_past_a_socket_s_token_warns_the_socket_again() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let seconds = Duration::from_secs;
    table.join(&key(), (1, now + seconds(70)), (&server.alive(now), 0), now);
    let of_the_session = answer(&mut table, &mut server, now + seconds(40));
    assert_eq!(of_the_session, [SessionEffect::Warn(vec![1], LEAD)]);
    table.activity(&key());
    let extended = answer(&mut table, &mut server, now + seconds(45));
    assert_eq!(extended, [SessionEffect::Extended(vec![1], TIMEOUT)]);
    let of_the_token = answer(&mut table, &mut server, now + seconds(50));
    assert_eq!(of_the_token, [SessionEffect::Warn(vec![1], seconds(55))]);
}

#[test]
fn lateness_counts_from_the_deadline_or_from_a_join_after_it() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let seconds = Duration::from_secs;
    table.join(&key(), (1, now + DAY), (&server.alive(now), 0), now);
    let warned = answer(&mut table, &mut server, now + seconds(43));
    assert_eq!(warned.len(), 1);
    assert_eq!(table.take_late(), [(SessionDeadline::Warning, seconds(3))]);

    let joined = now + seconds(50);
    table.join(&key(), (2, now + DAY), (&server.alive(joined), 0), joined);
    assert_eq!(answer(&mut table, &mut server, joined).len(), 1);
    assert_eq!(table.take_late(), [(SessionDeadline::Warning, Duration::ZERO)]);

    let closed = answer(&mut table, &mut server, now + seconds(62));
    assert_eq!(closed, [SessionEffect::Close(vec![1, 2], EndReason::Idle)]);
    assert_eq!(table.take_late(), [(SessionDeadline::Idle, seconds(2))]);
}

#[test]
fn warning_of_a_token_that_expires_within_the_lead_is_due_at_the_join() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let seconds = Duration::from_secs;
    table.join(&key(), (1, now + seconds(10)), (&server.alive(now), 0), now);
    assert_eq!(answer(&mut table, &mut server, now + seconds(1)).len(), 1);
    assert_eq!(table.take_late(), [(SessionDeadline::Warning, seconds(1))]);
}

#[test]
fn lateness_of_a_session_extended_elsewhere_is_unknown() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = SessionTable::default();
    let seconds = Duration::from_secs;
    table.join(&key(), (1, now + DAY), (&server.alive(now), 0), now);
    server.renew(now + seconds(30));
    assert_eq!(answer(&mut table, &mut server, now + seconds(75)).len(), 1);
    assert_eq!(table.take_late(), []);
}

/// Table with two sockets that were warned of their session's deadline, at this time.
fn warned(server: &mut ServerSession, now: Instant) -> SessionTable<u32> {
    let mut table = SessionTable::default();
    table.join(&key(), (1, now + DAY), (&server.alive(now), 0), now);
    table.join(&key(), (2, now + DAY), (&server.alive(now), 0), now);
    let warned = answer(&mut table, server, now + TIMEOUT - LEAD);
    assert_eq!(warned, [SessionEffect::Warn(vec![1, 2], LEAD)]);
    table
}

#[test]
fn extension_elsewhere_reaches_each_socket_once_at_a_hint() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = warned(&mut server, now);
    let extended_at = now + Duration::from_secs(50);
    server.renew(extended_at);
    table.hint(&key());
    let extended = answer(&mut table, &mut server, extended_at);
    assert_eq!(extended, [SessionEffect::Extended(vec![1, 2], TIMEOUT)]);
    table.hint(&key());
    assert_eq!(answer(&mut table, &mut server, extended_at), []);
}

#[test]
fn extension_elsewhere_reaches_each_socket_at_the_old_deadline_without_a_hint() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = warned(&mut server, now);
    server.renew(now + Duration::from_secs(50));
    assert_eq!(table.next(), Some(now + TIMEOUT));
    let extended = answer(&mut table, &mut server, now + TIMEOUT);
    let left = Duration::from_secs(50);
    assert_eq!(extended, [SessionEffect::Extended(vec![1, 2], left)]);
}

#[test]
fn socket_that_joins_after_an_extension_is_not_notified_of_it_and_the_others_are() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = warned(&mut server, now);
    let joined = now + Duration::from_secs(50);
    server.renew(joined);
    table.join(&key(), (3, now + DAY), (&server.alive(joined), 0), joined);
    let extended = answer(&mut table, &mut server, joined);
    assert_eq!(extended, [SessionEffect::Extended(vec![1, 2], TIMEOUT)]);
}

#[test]
fn socket_that_asks_for_an_extension_is_notified_by_its_answer_alone() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = warned(&mut server, now);
    let extended_at = now + Duration::from_secs(50);
    table.begin_extension(&key(), |socket| *socket == 1);
    server.renew(extended_at);
    let extended = table.answered(&key(), server.state(extended_at), extended_at);
    assert_eq!(extended, [SessionEffect::Extended(vec![2], TIMEOUT)]);
    table.end_extension(&key(), |socket| *socket == 1, true);
    table.hint(&key());
    assert_eq!(answer(&mut table, &mut server, extended_at), []);
}

#[test]
fn socket_whose_request_for_an_extension_failed_is_notified_if_the_session_was_extended() {
    let now = Instant::now();
    let mut server = ServerSession::new(now);
    let mut table = warned(&mut server, now);
    let extended_at = now + Duration::from_secs(50);
    table.begin_extension(&key(), |socket| *socket == 1);
    // The reply of the bus was lost.
    server.renew(extended_at);
    table.end_extension(&key(), |socket| *socket == 1, false);
    let extended = answer(&mut table, &mut server, extended_at);
    assert_eq!(extended, [SessionEffect::Extended(vec![1, 2], TIMEOUT)]);
}
