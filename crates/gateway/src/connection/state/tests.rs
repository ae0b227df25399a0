//! What a socket's state promises, whatever happens in whatever order.

use proptest::prelude::*;

use super::*;

const HEARTBEAT: Heartbeat = Heartbeat {
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(20),
};

fn bounds() -> Bounds {
    Bounds {
        heartbeat: HEARTBEAT,
        authentication: Duration::from_secs(10),
        write: Duration::from_secs(20),
        rate: Some(Rate::new(20, 40).unwrap()),
    }
}

/// A socket, and the time since it was opened.
struct Socket {
    state: State,
    opened: Instant,
    now: Instant,
}

impl Socket {
    fn open() -> Self {
        let opened = Instant::now();
        Self {
            state: State::new(bounds(), opened),
            opened,
            now: opened,
        }
    }

    fn live(until: Duration) -> Self {
        let mut socket = Self::open();
        let until = socket.opened + until;
        assert_eq!(socket.is(Input::Proven { until }), None);
        socket
    }

    fn is(&mut self, input: Input) -> Option<Effect> {
        self.state.on(input, self.now)
    }

    /// Lets time pass until something is to be done.
    fn next(&mut self) -> (Duration, Effect) {
        loop {
            self.now = self.now.max(self.state.wake_at());
            if let Some(effect) = self.is(Input::Tick) {
                return (self.now - self.opened, effect);
            }
        }
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_socket_without_a_token_ends_at_its_deadline() {
    assert_eq!(
        Socket::open().next(),
        (secs(10), Effect::End(Ending::AuthenticationTimeout))
    );
}

#[test]
fn a_peer_that_answers_is_pinged_an_interval_after_each_answer() {
    let mut socket = Socket::live(secs(86_400));
    assert_eq!(socket.next(), (secs(30), Effect::Ping));
    socket.wait(secs(5));
    assert_eq!(socket.is(Input::Pong), None);
    assert_eq!(socket.next(), (secs(65), Effect::Ping));
}

#[test]
fn a_peer_that_does_not_answer_is_dead_whatever_else_it_says() {
    let mut socket = Socket::live(secs(86_400));
    assert_eq!(socket.next(), (secs(30), Effect::Ping));
    socket.wait(secs(19));
    assert_eq!(socket.is(Input::Message), None);
    assert_eq!(socket.next(), (secs(50), Effect::End(Ending::HeartbeatTimeout)));
}

#[test]
fn a_socket_ends_with_its_token() {
    assert_eq!(
        Socket::live(secs(7)).next(),
        (secs(7), Effect::End(Ending::TokenExpired))
    );
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_and_one_that_takes_again_is_not() {
    let mut stalled = Socket::live(secs(86_400));
    stalled.wait(secs(1));
    stalled.is(Input::Blocked);
    assert_eq!(stalled.next(), (secs(21), Effect::End(Ending::Stalled)));

    let mut slow = Socket::live(secs(86_400));
    slow.is(Input::Blocked);
    slow.wait(secs(19));
    slow.is(Input::Flowing);
    slow.is(Input::Blocked);
    assert_eq!(slow.next(), (secs(30), Effect::Ping));
}

#[test]
fn a_client_that_left_must_prove_itself_again() {
    let mut socket = Socket::live(secs(86_400));
    socket.wait(secs(20));
    socket.is(Input::Left);
    assert_eq!(socket.next(), (secs(30), Effect::End(Ending::AuthenticationTimeout)));
}

#[test]
fn a_draining_socket_leaves_at_its_turn() {
    let mut socket = Socket::live(secs(86_400));
    let at = socket.opened + secs(3);
    socket.is(Input::Leave {
        at,
        ending: Ending::Restart,
    });
    assert_eq!(socket.next(), (secs(3), Effect::End(Ending::Restart)));
}

#[test]
fn a_full_queue_ends_the_socket() {
    assert_eq!(
        Socket::live(secs(9)).is(Input::Overflowed),
        Some(Effect::End(Ending::QueueFull))
    );
}

#[test]
fn too_many_messages_are_held_back_and_a_flood_ends_the_socket() {
    let mut socket = Socket::live(secs(86_400));
    for _ in 0..40 {
        assert_eq!(socket.is(Input::Message), None);
    }
    for _ in 0..199 {
        assert_eq!(
            socket.is(Input::Message),
            Some(Effect::HoldBack(Duration::from_millis(50)))
        );
    }
    assert_eq!(socket.is(Input::Message), Some(Effect::End(Ending::Flood)));
}

#[test]
fn a_client_that_is_often_a_little_too_fast_is_no_flood() {
    let mut socket = Socket::live(secs(86_400));
    // 25 messages a second are 5 too many: 50 refusals in 10 s.
    for message in 0..2_500 {
        let effect = socket.is(Input::Message);
        assert!(!matches!(effect, Some(Effect::End(_))), "message {message}");
        socket.wait(Duration::from_millis(40));
    }
}

/// Anything a peer, a writer or a drain may do, and time passing.
fn step() -> impl Strategy<Value = (Input, Duration)> {
    let input = prop_oneof![
        Just(Input::Message),
        Just(Input::Pong),
        Just(Input::Blocked),
        Just(Input::Flowing),
        Just(Input::Left),
        Just(Input::Tick),
    ];
    (input, (0u64..15_000).prop_map(Duration::from_millis))
}

proptest! {
    #[test]
    fn no_ping_follows_another_without_an_answer_and_every_wait_is_bounded(steps in prop::collection::vec(step(), 1..200)) {
        let mut socket = Socket::live(secs(86_400));
        let mut unanswered = false;
        for (input, by) in steps {
            let longest = bounds().heartbeat.interval.max(bounds().heartbeat.timeout);
            prop_assert!(socket.state.wake_at() <= socket.now + longest);
            socket.wait(by);
            if input == Input::Pong {
                unanswered = false;
            }
            let given = socket.is(input);
            for effect in [given, socket.is(Input::Tick)].into_iter().flatten() {
                match effect {
                    Effect::Ping => {
                        prop_assert!(!unanswered, "a second ping");
                        unanswered = true;
                    }
                    Effect::HoldBack(wait) => prop_assert!(wait <= Duration::from_millis(50)),
                    Effect::End(_) => return Ok(()),
                }
            }
            prop_assert!(socket.state.wake_at() > socket.now, "a tick leaves nothing due");
        }
    }
}
