//! The table against a bus that is only a deadline.

use proptest::prelude::*;
use protocol::id::{SessionId, UserId};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(60);
const LEAD: Duration = Duration::from_secs(20);
/// How long a token lasts where it does not matter.
const DAY: Duration = Duration::from_hours(24);

/// What the bus knows of the one session.
struct Server {
    generation: u64,
    deadline: Instant,
}

impl Server {
    fn new(now: Instant) -> Self {
        Self {
            generation: 1,
            deadline: now + TIMEOUT,
        }
    }

    fn touch(&mut self, now: Instant) {
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
        })
    }

    fn alive(&self, now: Instant) -> SessionTtl {
        match self.state(now) {
            SessionState::Alive(alive) => alive,
            other => panic!("the session is {other:?}"),
        }
    }
}

/// Answers all that is due, as the bus does.
fn answer(table: &mut Table<u32>, server: &mut Server, now: Instant) -> Vec<Effect<u32>> {
    let mut effects = Vec::new();
    for ask in table.due(now) {
        let (Ask::Poke(key) | Ask::Touch(key)) = &ask;
        if matches!(ask, Ask::Touch(_)) {
            server.touch(now);
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
enum Step {
    Wait(u64),
    Activity,
    Elsewhere,
    Join,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..25_000).prop_map(Step::Wait),
        2 => Just(Step::Activity),
        1 => Just(Step::Elsewhere),
        1 => Just(Step::Join),
    ]
}

proptest! {
    /// Whatever happens where: a socket is warned once in a generation and only within its lead, and it is ended once, at the
    /// deadline that the bus knows and never before.
    #[test]
    fn each_socket_is_warned_once_in_a_generation_and_ended_once(steps in prop::collection::vec(step(), 1..40)) {
        let mut now = Instant::now();
        let mut server = Server::new(now);
        let mut table = Table::default();
        let mut sockets = 1;
        table.join(&key(), (0, now + DAY), &server.alive(now), now);
        let mut warned = std::collections::HashSet::new();
        let mut ended = Vec::new();
        for step in steps.into_iter().chain([Step::Wait(200_000)]) {
            let until = match step {
                Step::Wait(millis) => now + Duration::from_millis(millis),
                Step::Activity => {
                    table.activity(&key());
                    now
                }
                Step::Elsewhere => {
                    server.touch(now);
                    now
                }
                Step::Join if now < server.deadline => {
                    table.join(&key(), (sockets, now + DAY), &server.alive(now), now);
                    sockets += 1;
                    now
                }
                Step::Join => now,
            };
            while let Some(next) = table.next().filter(|next| *next <= until) {
                now = now.max(next);
                for effect in answer(&mut table, &mut server, now) {
                    match effect {
                        Effect::Warn(those, left) => {
                            prop_assert!(left <= LEAD);
                            for socket in those {
                                prop_assert!(warned.insert((socket, server.generation)), "{socket} was warned twice");
                            }
                        }
                        Effect::End(those, over) => {
                            prop_assert!(now >= server.deadline);
                            prop_assert_eq!(over, Over::Idle);
                            ended.extend(those);
                        }
                        Effect::Reopen(..) => prop_assert!(false, "nothing was lost"),
                    }
                }
            }
            now = until;
        }
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..sockets).collect::<Vec<_>>());
        prop_assert!((0..sockets).all(|socket| warned.contains(&(socket, server.generation))));
    }
}

#[test]
fn activity_is_passed_on_at_once_and_then_every_five_seconds() {
    let mut now = Instant::now();
    let mut server = Server::new(now);
    let mut table = Table::default();
    table.join(&key(), (0, now + DAY), &server.alive(now), now);
    let begun = now;
    let mut passed_on = Vec::new();
    for _ in 0..200 {
        if now < begun + Duration::from_secs(11) {
            table.activity(&key());
        }
        let before = server.generation;
        answer(&mut table, &mut server, now);
        if server.generation > before {
            passed_on.push((now - begun).as_millis());
        }
        now += Duration::from_millis(100);
    }
    assert_eq!(passed_on, [0, 5_000, 10_000, 15_000]);
}

#[test]
fn a_session_that_is_lost_before_its_deadline_is_to_be_opened_again() {
    let now = Instant::now();
    let server = Server::new(now);
    let mut table = Table::default();
    table.join(&key(), (7, now + DAY), &server.alive(now), now);
    let at_the_warning = now + TIMEOUT - LEAD;
    assert_eq!(table.due(at_the_warning), [Ask::Poke(key())]);
    let lost = table.answered(&key(), SessionState::Unknown, at_the_warning);
    assert_eq!(lost, Some(Effect::Reopen(7, None)));
    assert!(
        table.due(at_the_warning + TIMEOUT).is_empty(),
        "the worker is being asked"
    );
    table.again(&Ask::Poke(key()), at_the_warning);
    assert_eq!(table.due(at_the_warning + RETRY), [Ask::Poke(key())]);
}

#[test]
fn a_session_that_was_ended_ends_its_sockets_whenever_that_is_learned() {
    let now = Instant::now();
    let server = Server::new(now);
    let mut table = Table::default();
    table.join(&key(), (1, now + DAY), &server.alive(now), now);
    table.join(&key(), (2, now + DAY), &server.alive(now), now);
    let ended = table.answered(&key(), SessionState::Ended, now);
    assert_eq!(ended, Some(Effect::End(vec![1, 2], Over::Ended)));
    assert!(table.next().is_none() && table.seems_over(&key(), now));
}

#[test]
fn activity_that_was_held_back_is_passed_on_when_the_last_socket_leaves() {
    let now = Instant::now();
    let mut server = Server::new(now);
    let mut table = Table::default();
    let (first, last) = (
        table.join(&key(), (1, now + DAY), &server.alive(now), now),
        table.join(&key(), (2, now + DAY), &server.alive(now), now),
    );
    for seconds in [0, 1] {
        table.activity(&key());
        answer(&mut table, &mut server, now + Duration::from_secs(seconds));
    }
    assert_eq!(server.generation, 2, "the second is held back");
    table.leave(&key(), first);
    assert_eq!(table.due(now + Duration::from_secs(1)), []);
    table.leave(&key(), last);
    assert_eq!(table.due(now + Duration::from_secs(1)), [Ask::Touch(key())]);
    assert_eq!(table.due(now + DAY), []);
}

#[test]
fn a_socket_is_warned_of_its_token_s_end_where_that_comes_first() {
    let now = Instant::now();
    let mut server = Server::new(now);
    let mut table = Table::default();
    let seconds = Duration::from_secs;
    let member = table.join(&key(), (1, now + seconds(30)), &server.alive(now), now);
    table.join(&key(), (2, now + DAY), &server.alive(now), now);
    assert_eq!(table.next(), Some(now + seconds(10)));
    let warned = answer(&mut table, &mut server, now + seconds(10));
    assert_eq!(warned, [Effect::Warn(vec![1], seconds(50))]);
    // Activity moves the session's end, and not the token's.
    table.activity(&key());
    assert_eq!(answer(&mut table, &mut server, now + seconds(20)), []);
    // Another token does; then both are warned of the session's end, once.
    table.renew(&key(), member, now + DAY);
    assert_eq!(table.next(), Some(now + seconds(60)));
    let warned = answer(&mut table, &mut server, now + seconds(60));
    assert_eq!(warned, [Effect::Warn(vec![1, 2], LEAD)]);
    assert_eq!(table.next(), Some(now + seconds(80)));
}

#[test]
fn a_session_that_is_extended_past_a_socket_s_token_warns_it_anew() {
    let now = Instant::now();
    let mut server = Server::new(now);
    let mut table = Table::default();
    let seconds = Duration::from_secs;
    table.join(&key(), (1, now + seconds(70)), &server.alive(now), now);
    let of_the_session = answer(&mut table, &mut server, now + seconds(40));
    assert_eq!(of_the_session, [Effect::Warn(vec![1], LEAD)]);
    table.activity(&key());
    assert_eq!(answer(&mut table, &mut server, now + seconds(45)), []);
    let of_the_token = answer(&mut table, &mut server, now + seconds(50));
    assert_eq!(of_the_token, [Effect::Warn(vec![1], seconds(55))]);
}
