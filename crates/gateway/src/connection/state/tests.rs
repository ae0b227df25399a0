//! Heartbeat, deadlines and rate of one socket, for single inputs and for any sequence of them.

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

/// Socket with its state and the time.
struct TestLink {
    state: LinkState,
    opened: Instant,
    now: Instant,
}

impl TestLink {
    fn open() -> Self {
        let opened = Instant::now();
        Self {
            state: LinkState::new(bounds(), opened),
            opened,
            now: opened,
        }
    }

    fn live(token_ttl: Duration) -> Self {
        let mut socket = Self::open();
        let expires = socket.opened + token_ttl;
        assert_eq!(socket.on(Input::Authenticated { expires }), None);
        socket
    }

    fn on(&mut self, input: Input) -> Option<LinkEffect> {
        self.state.on(input, self.now)
    }

    /// Advances the time to the next effect.
    fn next(&mut self) -> (Duration, LinkEffect) {
        loop {
            self.now = self.now.max(self.state.wake_at());
            if let Some(effect) = self.on(Input::Tick) {
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
fn socket_without_token_is_closed_at_the_deadline() {
    assert_eq!(
        TestLink::open().next(),
        (secs(10), LinkEffect::End(CloseReason::AuthenticationTimeout))
    );
}

#[test]
fn answering_peer_is_pinged_one_interval_after_each_pong() {
    let mut socket = TestLink::live(secs(86_400));
    assert_eq!(socket.next(), (secs(30), LinkEffect::Ping));
    socket.wait(secs(5));
    assert_eq!(socket.on(Input::Pong), None);
    assert_eq!(socket.next(), (secs(65), LinkEffect::Ping));
}

#[test]
fn missing_pong_closes_the_socket_despite_other_messages() {
    let mut socket = TestLink::live(secs(86_400));
    assert_eq!(socket.next(), (secs(30), LinkEffect::Ping));
    socket.wait(secs(19));
    assert_eq!(socket.on(Input::Message), None);
    assert_eq!(
        socket.next(),
        (secs(50), LinkEffect::End(CloseReason::HeartbeatTimeout))
    );
}

#[test]
fn token_expiry_closes_the_socket() {
    assert_eq!(
        TestLink::live(secs(7)).next(),
        (secs(7), LinkEffect::End(CloseReason::TokenExpired))
    );
}

#[test]
fn stalled_peer_is_closed_and_slow_peer_is_not() {
    let mut stalled = TestLink::live(secs(86_400));
    stalled.wait(secs(1));
    stalled.on(Input::Blocked);
    assert_eq!(stalled.next(), (secs(21), LinkEffect::End(CloseReason::Stalled)));

    let mut slow = TestLink::live(secs(86_400));
    slow.on(Input::Blocked);
    slow.wait(secs(19));
    slow.on(Input::Flowing);
    slow.on(Input::Blocked);
    assert_eq!(slow.next(), (secs(30), LinkEffect::Ping));
}

#[test]
fn disconnected_client_must_authenticate_again_in_time() {
    let mut socket = TestLink::live(secs(86_400));
    socket.wait(secs(20));
    socket.on(Input::Disconnected);
    assert_eq!(
        socket.next(),
        (secs(30), LinkEffect::End(CloseReason::AuthenticationTimeout))
    );
}

#[test]
fn draining_socket_closes_after_its_delay() {
    let mut socket = TestLink::live(secs(86_400));
    let at = socket.opened + secs(3);
    socket.on(Input::CloseAt {
        at,
        reason: CloseReason::Restart,
    });
    assert_eq!(socket.next(), (secs(3), LinkEffect::End(CloseReason::Restart)));
}

#[test]
fn queue_overflow_closes_the_socket() {
    assert_eq!(
        TestLink::live(secs(9)).on(Input::Overflowed),
        Some(LinkEffect::End(CloseReason::QueueFull))
    );
}

#[test]
fn messages_above_the_rate_are_rejected_and_a_flood_closes_the_socket() {
    let mut socket = TestLink::live(secs(86_400));
    for _ in 0..40 {
        assert_eq!(socket.on(Input::Message), None);
    }
    for _ in 0..199 {
        assert_eq!(
            socket.on(Input::Message),
            Some(LinkEffect::Reject(Duration::from_millis(50)))
        );
    }
    assert_eq!(socket.on(Input::Message), Some(LinkEffect::End(CloseReason::Flood)));
}

#[test]
fn client_slightly_above_the_rate_is_not_closed() {
    let mut socket = TestLink::live(secs(86_400));
    // 25 messages a second are 5 too many: 50 refusals in 10 s.
    for message in 0..2_500 {
        let effect = socket.on(Input::Message);
        assert!(!matches!(effect, Some(LinkEffect::End(_))), "message {message}");
        socket.wait(Duration::from_millis(40));
    }
}

/// Any input of a peer or a writer, and the time before it.
fn step() -> impl Strategy<Value = (Input, Duration)> {
    let input = prop_oneof![
        Just(Input::Message),
        Just(Input::Pong),
        Just(Input::Blocked),
        Just(Input::Flowing),
        Just(Input::Disconnected),
        Just(Input::Tick),
    ];
    (input, (0u64..15_000).prop_map(Duration::from_millis))
}

proptest! {
    #[test]
    fn pings_alternate_with_pongs_and_every_wait_is_bounded(steps in prop::collection::vec(step(), 1..200)) {
        let mut socket = TestLink::live(secs(86_400));
        let mut unanswered = false;
        for (input, by) in steps {
            let longest = bounds().heartbeat.interval.max(bounds().heartbeat.timeout);
            prop_assert!(socket.state.wake_at() <= socket.now + longest);
            socket.wait(by);
            if input == Input::Pong {
                unanswered = false;
            }
            let first = socket.on(input);
            for effect in [first, socket.on(Input::Tick)].into_iter().flatten() {
                match effect {
                    LinkEffect::Ping => {
                        prop_assert!(!unanswered, "a second ping");
                        unanswered = true;
                    }
                    LinkEffect::Reject(wait) => prop_assert!(wait <= Duration::from_millis(50)),
                    LinkEffect::End(_) => return Ok(()),
                }
            }
            prop_assert!(socket.state.wake_at() > socket.now, "nothing is due right after a tick");
        }
    }
}
