//! Sessions: a deadline that activity moves, and an end that nothing takes back.

use std::time::Duration;

use bus::{Alive, Bus, Seed, SessionKey, SessionState};
use protocol::id::SessionId;
use testkit::wait;

use crate::sample::user;

holds_for_both!(
    a_session_is_unknown_until_it_is_seeded,
    a_session_that_is_known_is_not_seeded_again,
    activity_gives_the_whole_timeout_in_a_new_generation,
    activity_says_whether_the_warning_had_been_due,
    a_session_is_over_at_its_deadline_and_activity_does_not_revive_it,
    another_timeout_counts_from_the_last_activity,
    another_timeout_leaves_time_for_a_warning,
    another_timeout_brings_no_session_back,
    a_session_that_was_ended_stays_so,
    a_session_that_many_tokens_share_may_begin_again,
    sessions_do_not_share,
);

async fn a_session_is_unknown_until_it_is_seeded(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    assert_eq!(state(bus, &key).await, SessionState::Unknown);
    assert_eq!(bus.touch(&key).await.unwrap().state, SessionState::Unknown);
    let seeded = alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
    assert!(seeded.left <= HALF_AN_HOUR.left && seeded.left > HALF_AN_HOUR.left - wait::deadline());
    assert!(seeded.warns_in <= HALF_AN_HOUR.left - HALF_AN_HOUR.lead && !seeded.warns_in.is_zero());
    assert_eq!((seeded.timeout, seeded.lead), (HALF_AN_HOUR.timeout, HALF_AN_HOUR.lead));
    assert_eq!(alive(state(bus, &key).await).generation, seeded.generation);
}

async fn a_session_that_is_known_is_not_seeded_again(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let first = alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
    let later = Seed {
        left: HALF_AN_HOUR.left * 2,
        ..HALF_AN_HOUR
    };
    let second = alive(bus.seed(&key, later).await.unwrap());
    assert_eq!(second.generation, first.generation);
    assert!(second.left <= first.left);
}

async fn activity_gives_the_whole_timeout_in_a_new_generation(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let nearly_over = Seed {
        left: Duration::from_secs(20 * 60),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, nearly_over).await.unwrap());
    let touched = bus.touch(&key).await.unwrap();
    assert!(!touched.after_warning);
    let touched = alive(touched.state);
    assert!(touched.generation > seeded.generation);
    assert!(touched.left > HALF_AN_HOUR.timeout - wait::deadline());
    let poked = alive(state(bus, &key).await);
    assert_eq!(poked.generation, touched.generation);
}

async fn activity_says_whether_the_warning_had_been_due(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let within_the_lead = Seed {
        left: Duration::from_secs(4 * 60),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, within_the_lead).await.unwrap());
    assert!(seeded.warns_in.is_zero());
    assert!(bus.touch(&key).await.unwrap().after_warning);
    assert!(!bus.touch(&key).await.unwrap().after_warning);
}

async fn a_session_is_over_at_its_deadline_and_activity_does_not_revive_it(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let short = Seed {
        left: Duration::from_millis(150),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&key, short).await.unwrap());
    wait::until_true("the session to be over", wait::deadline(), async || {
        state(bus, &key).await == SessionState::Unknown
    })
    .await;
    assert_eq!(bus.touch(&key).await.unwrap().state, SessionState::Unknown);
}

async fn another_timeout_counts_from_the_last_activity(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    // The last activity was ten minutes ago.
    let idle = Seed {
        left: Duration::from_mins(20),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, idle).await.unwrap());
    for (timeout, left) in [(60, 50), (15, 5), (30, 20)] {
        let [timeout, left, lead] = [timeout, left, 1].map(Duration::from_mins);
        let retimed = alive(bus.retime(&key, timeout, lead).await.unwrap());
        assert!(retimed.generation > seeded.generation);
        assert!(
            retimed.left <= left && retimed.left > left - wait::deadline(),
            "{retimed:?}"
        );
        assert_eq!((retimed.timeout, retimed.lead), (timeout, lead));
        assert_eq!(alive(state(bus, &key).await).generation, retimed.generation);
    }
}

async fn another_timeout_leaves_time_for_a_warning(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let idle = Seed {
        left: Duration::from_mins(10),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&key, idle).await.unwrap());
    let [timeout, lead] = [4, 2].map(Duration::from_mins);
    let retimed = alive(bus.retime(&key, timeout, lead).await.unwrap());
    assert!(retimed.warns_in.is_zero());
    assert!(retimed.left <= lead && retimed.left > lead - wait::deadline());
}

async fn another_timeout_brings_no_session_back(bus: &dyn Bus) {
    let (unknown, ended) = (session("GEN-001", "s-1"), session("GEN-001", "s-2"));
    bus.end(&ended, HALF_AN_HOUR.left).await.unwrap();
    for (key, expected) in [(unknown, SessionState::Unknown), (ended, SessionState::Ended)] {
        let retimed = bus.retime(&key, HALF_AN_HOUR.timeout, HALF_AN_HOUR.lead).await.unwrap();
        assert_eq!(retimed, expected);
        assert_eq!(state(bus, &key).await, expected);
    }
}

async fn a_session_that_was_ended_stays_so(bus: &dyn Bus) {
    for key in [session("GEN-001", "known"), session("GEN-001", "never known")] {
        if key.session.as_str() == "known" {
            alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
        }
        bus.end(&key, HALF_AN_HOUR.left).await.unwrap();
        assert_eq!(state(bus, &key).await, SessionState::Ended);
        assert_eq!(bus.touch(&key).await.unwrap().state, SessionState::Ended);
        assert_eq!(bus.seed(&key, HALF_AN_HOUR).await.unwrap(), SessionState::Ended);
    }
}

async fn a_session_that_many_tokens_share_may_begin_again(bus: &dyn Bus) {
    let key = session("GEN-001", SessionId::DEFAULT);
    let again = Seed {
        over_end: true,
        ..HALF_AN_HOUR
    };
    bus.end(&key, HALF_AN_HOUR.left).await.unwrap();
    let begun = alive(bus.seed(&key, again).await.unwrap());
    assert_eq!(alive(bus.seed(&key, again).await.unwrap()).generation, begun.generation);
}

async fn sessions_do_not_share(bus: &dyn Bus) {
    let keys = [
        session("one", "s-1"),
        session("one", "s-2"),
        session("other", "s-1"),
        session("other", "s}:1 *"),
    ];
    for key in &keys[..3] {
        alive(bus.seed(key, HALF_AN_HOUR).await.unwrap());
    }
    bus.end(&keys[1], HALF_AN_HOUR.left).await.unwrap();
    let states = bus.poke(&keys).await.unwrap();
    alive(states[0]);
    assert_eq!(states[1], SessionState::Ended);
    alive(states[2]);
    assert_eq!(states[3], SessionState::Unknown);
}

async fn state(bus: &dyn Bus, key: &SessionKey) -> SessionState {
    bus.poke(std::slice::from_ref(key)).await.unwrap()[0]
}

#[track_caller]
fn alive(state: SessionState) -> Alive {
    match state {
        SessionState::Alive(alive) => alive,
        other => panic!("the session is {other:?}"),
    }
}

fn session(id: &str, session: &str) -> SessionKey {
    SessionKey {
        user: user(id),
        session: SessionId::new(session).unwrap(),
    }
}

const HALF_AN_HOUR: Seed = Seed {
    left: Duration::from_secs(30 * 60),
    timeout: Duration::from_secs(30 * 60),
    lead: Duration::from_secs(5 * 60),
    over_end: false,
};
