//! Sessions: renewals of the deadline, and final ends.

use std::time::Duration;

use bus::{Bus, EndAllSessions, EndAnnouncement, SessionKey, SessionSeed, SessionState, SessionTtl, TokenTimes};
use protocol::id::SessionId;
use protocol::time::Timestamp;
use testkit::wait;

use crate::sample::{HALF_AN_HOUR, user};

test_all!(
    session_is_unknown_before_its_seed,
    known_session_ignores_another_seed,
    renewal_grants_the_whole_timeout_in_a_new_generation,
    renewal_reports_whether_the_warning_was_due,
    expired_session_is_not_renewed,
    new_timeout_counts_from_the_last_activity,
    new_timeout_leaves_the_warning_lead,
    new_timeout_does_not_revive_a_session,
    ended_session_stays_ended,
    session_opened_after_its_end_is_live_again,
    end_before_the_opening_leaves_a_session_alive,
    announced_end_is_resolved_only_by_a_seed_that_names_it,
    announced_end_rejects_a_late_seed,
    announced_end_returns_the_newest_times_of_tokens,
    live_sessions_of_a_user_are_listed,
    session_with_the_earliest_deadline_is_dropped_above_the_bound,
    end_of_all_ends_earlier_sessions_except_one,
    sessions_are_independent,
);

async fn session_is_unknown_before_its_seed(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    assert_eq!(state(bus, &key).await, SessionState::Unknown);
    assert_eq!(bus.renew_session(&key).await.unwrap().state, SessionState::Unknown);
    let seeded = alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
    assert!(seeded.left <= HALF_AN_HOUR.left && seeded.left > HALF_AN_HOUR.left - wait::deadline());
    assert!(seeded.warns_in <= HALF_AN_HOUR.left - HALF_AN_HOUR.lead && !seeded.warns_in.is_zero());
    assert_eq!((seeded.timeout, seeded.lead), (HALF_AN_HOUR.timeout, HALF_AN_HOUR.lead));
    assert_eq!(alive(state(bus, &key).await).generation, seeded.generation);
}

async fn known_session_ignores_another_seed(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let first = alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
    let later = SessionSeed {
        left: HALF_AN_HOUR.left * 2,
        ..HALF_AN_HOUR
    };
    let second = alive(bus.seed(&key, later).await.unwrap());
    assert_eq!(second.generation, first.generation);
    assert!(second.left <= first.left);
}

async fn renewal_grants_the_whole_timeout_in_a_new_generation(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let near_deadline = SessionSeed {
        left: Duration::from_secs(20 * 60),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, near_deadline).await.unwrap());
    let renewal = bus.renew_session(&key).await.unwrap();
    assert!(!renewal.after_warning);
    let renewal = alive(renewal.state);
    assert!(renewal.generation > seeded.generation);
    assert!(renewal.left > HALF_AN_HOUR.timeout - wait::deadline());
    let checked = alive(state(bus, &key).await);
    assert_eq!(checked.generation, renewal.generation);
}

async fn renewal_reports_whether_the_warning_was_due(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let within_the_lead = SessionSeed {
        left: Duration::from_secs(4 * 60),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, within_the_lead).await.unwrap());
    assert!(seeded.warns_in.is_zero());
    assert!(bus.renew_session(&key).await.unwrap().after_warning);
    assert!(!bus.renew_session(&key).await.unwrap().after_warning);
}

async fn expired_session_is_not_renewed(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let short = SessionSeed {
        left: Duration::from_millis(150),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&key, short).await.unwrap());
    wait::until_true("the session to expire", wait::deadline(), async || {
        state(bus, &key).await == SessionState::Unknown
    })
    .await;
    assert_eq!(bus.renew_session(&key).await.unwrap().state, SessionState::Unknown);
}

async fn new_timeout_counts_from_the_last_activity(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    // Last activity ten minutes ago.
    let idle = SessionSeed {
        left: Duration::from_mins(20),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, idle).await.unwrap());
    for (timeout, left) in [(60, 50), (15, 5), (30, 20)] {
        let [timeout, left, lead] = [timeout, left, 1].map(Duration::from_mins);
        let retimed = alive(bus.set_timeout(&key, timeout, lead).await.unwrap());
        assert!(retimed.generation > seeded.generation);
        assert!(
            retimed.left <= left && retimed.left > left - wait::deadline(),
            "{retimed:?}"
        );
        assert_eq!((retimed.timeout, retimed.lead), (timeout, lead));
        assert_eq!(alive(state(bus, &key).await).generation, retimed.generation);
    }
}

async fn new_timeout_leaves_the_warning_lead(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    let idle = SessionSeed {
        left: Duration::from_mins(10),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&key, idle).await.unwrap());
    let [timeout, lead] = [4, 2].map(Duration::from_mins);
    let retimed = alive(bus.set_timeout(&key, timeout, lead).await.unwrap());
    assert!(retimed.warns_in.is_zero());
    assert!(retimed.left <= lead && retimed.left > lead - wait::deadline());
}

async fn new_timeout_does_not_revive_a_session(bus: &dyn Bus) {
    let (unknown, ended) = (session("GEN-001", "s-1"), session("GEN-001", "s-2"));
    bus.end(&ended, at(2), HALF_AN_HOUR.left).await.unwrap();
    for (key, expected) in [(unknown, SessionState::Unknown), (ended, SessionState::Ended)] {
        let retimed = bus
            .set_timeout(&key, HALF_AN_HOUR.timeout, HALF_AN_HOUR.lead)
            .await
            .unwrap();
        assert_eq!(retimed, expected);
        assert_eq!(state(bus, &key).await, expected);
    }
}

async fn ended_session_stays_ended(bus: &dyn Bus) {
    for key in [session("GEN-001", "known"), session("GEN-001", "never known")] {
        if key.session.as_str() == "known" {
            alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
        }
        bus.end(&key, at(2), HALF_AN_HOUR.left).await.unwrap();
        assert_eq!(state(bus, &key).await, SessionState::Ended);
        assert_eq!(bus.renew_session(&key).await.unwrap().state, SessionState::Ended);
        assert_eq!(bus.seed(&key, HALF_AN_HOUR).await.unwrap(), SessionState::Ended);
    }
}

async fn session_opened_after_its_end_is_live_again(bus: &dyn Bus) {
    let key = session("GEN-001", SessionId::DEFAULT);
    bus.end(&key, at(2), HALF_AN_HOUR.left).await.unwrap();
    for opened_at in [at(1), at(2)] {
        let seed = SessionSeed {
            opened_at,
            ..HALF_AN_HOUR
        };
        assert_eq!(bus.seed(&key, seed).await.unwrap(), SessionState::Ended);
    }
    let again = SessionSeed {
        opened_at: at(3),
        ..HALF_AN_HOUR
    };
    let started = alive(bus.seed(&key, again).await.unwrap());
    assert_eq!(
        alive(bus.seed(&key, again).await.unwrap()).generation,
        started.generation
    );
}

async fn end_before_the_opening_leaves_a_session_alive(bus: &dyn Bus) {
    let key = session("GEN-001", SessionId::DEFAULT);
    let again = SessionSeed {
        opened_at: at(3),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&key, again).await.unwrap());
    bus.end(&key, at(2), HALF_AN_HOUR.left).await.unwrap();
    alive(state(bus, &key).await);
    bus.end(&key, at(4), HALF_AN_HOUR.left).await.unwrap();
    bus.end(&key, at(2), HALF_AN_HOUR.left).await.unwrap();
    assert_eq!(
        bus.seed(&key, again).await.unwrap(),
        SessionState::Ended,
        "the later end counts"
    );
}

async fn announced_end_is_resolved_only_by_a_seed_that_names_it(bus: &dyn Bus) {
    for known in [true, false] {
        let key = session("GEN-001", if known { "known" } else { "unknown" });
        if known {
            alive(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
        }
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let announced = bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
            assert_eq!(announced[0].was_alive, known);
            numbers.push(ending(state(bus, &key).await));
        }
        assert_ne!(numbers[0], numbers[1]);
        assert_eq!(
            bus.renew_session(&key).await.unwrap().state,
            SessionState::Ending(numbers[1])
        );
        for announced in [None, Some(numbers[0])] {
            let seed = SessionSeed {
                announced,
                ..HALF_AN_HOUR
            };
            assert_eq!(bus.seed(&key, seed).await.unwrap(), SessionState::Ending(numbers[1]));
        }
        let seed = SessionSeed {
            announced: Some(numbers[1]),
            ..HALF_AN_HOUR
        };
        alive(bus.seed(&key, seed).await.unwrap());
        alive(bus.renew_session(&key).await.unwrap().state);
    }
}

/// Late seed: the session was opened before the end was committed, and is seeded after it.
async fn announced_end_rejects_a_late_seed(bus: &dyn Bus) {
    let key = session("GEN-001", "s-1");
    bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
    ending(bus.seed(&key, HALF_AN_HOUR).await.unwrap());
    bus.end(&key, at(2), HALF_AN_HOUR.left).await.unwrap();
    assert_eq!(bus.seed(&key, HALF_AN_HOUR).await.unwrap(), SessionState::Ended);
}

/// Times of a token without the ones that are not known.
fn token(issued_at: Option<i64>, expires_at: Option<i64>) -> TokenTimes {
    TokenTimes {
        issued_at: issued_at.map(at),
        expires_at: expires_at.map(at),
    }
}

async fn announced_end_returns_the_newest_times_of_tokens(bus: &dyn Bus) {
    let key = session("GEN-001", SessionId::DEFAULT);
    assert_eq!(
        bus.record_token(&key, token(Some(9), Some(99))).await.unwrap(),
        SessionState::Unknown
    );
    let announced = bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let unknown = EndAnnouncement {
        was_alive: false,
        tokens: TokenTimes::UNKNOWN,
    };
    assert_eq!(announced, [unknown]);
    let seed = SessionSeed {
        tokens: token(Some(5), Some(60)),
        announced: Some(ending(state(bus, &key).await)),
        ..HALF_AN_HOUR
    };
    let seeded = alive(bus.seed(&key, seed).await.unwrap());
    assert_eq!(seeded.latest_token_expiry, Some(at(60)));
    for (issued_at, expires_at, latest) in [(Some(8), None, 60), (Some(7), Some(61), 61), (None, Some(59), 61)] {
        let recorded = alive(bus.record_token(&key, token(issued_at, expires_at)).await.unwrap());
        assert_eq!(recorded.generation, seeded.generation, "deadline changed");
        assert_eq!(recorded.latest_token_expiry, Some(at(latest)));
    }
    alive(bus.renew_session(&key).await.unwrap().state);
    let announced = bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let known = EndAnnouncement {
        was_alive: true,
        tokens: token(Some(8), Some(61)),
    };
    assert_eq!(announced, [known]);
}

async fn live_sessions_of_a_user_are_listed(bus: &dyn Bus) {
    let short = SessionSeed {
        left: Duration::from_millis(100),
        ..HALF_AN_HOUR
    };
    alive(bus.seed(&session("GEN-001", "over"), short).await.unwrap());
    for name in ["s-1", "w: }{", "ended", "ending"] {
        alive(bus.seed(&session("GEN-001", name), HALF_AN_HOUR).await.unwrap());
    }
    alive(bus.seed(&session("GEN-002", "s-2"), HALF_AN_HOUR).await.unwrap());
    bus.end(&session("GEN-001", "ended"), at(2), HALF_AN_HOUR.left)
        .await
        .unwrap();
    bus.announce_end(&[session("GEN-001", "ending")]).await.unwrap();
    wait::until_true("the session to expire", wait::deadline(), async || {
        listed(bus, "GEN-001").await == ["ending", "s-1", "w: }{"]
    })
    .await;
    let all = bus.alive_sessions(&user("GEN-001")).await.unwrap();
    for one in all {
        assert_eq!(
            (one.opened_at, one.timeout),
            (HALF_AN_HOUR.opened_at, HALF_AN_HOUR.timeout)
        );
        assert!(one.left <= HALF_AN_HOUR.left && one.left > HALF_AN_HOUR.left - wait::deadline());
    }
}

async fn session_with_the_earliest_deadline_is_dropped_above_the_bound(bus: &dyn Bus) {
    for number in 0..256_u64 {
        let seed = SessionSeed {
            left: Duration::from_mins(2_000 - number),
            ..HALF_AN_HOUR
        };
        alive(
            bus.seed(&session("GEN-001", &format!("s-{number}")), seed)
                .await
                .unwrap(),
        );
    }
    let added = session("GEN-001", "added");
    alive(bus.seed(&added, HALF_AN_HOUR).await.unwrap());
    alive(state(bus, &added).await);
    assert_eq!(state(bus, &session("GEN-001", "s-255")).await, SessionState::Unknown);
    alive(state(bus, &session("GEN-001", "s-254")).await);
    assert_eq!(listed(bus, "GEN-001").await.len(), 256);
}

async fn end_of_all_ends_earlier_sessions_except_one(bus: &dyn Bus) {
    let [before, excepted, after, other] = [
        session("GEN-001", "before"),
        session("GEN-001", "excepted"),
        session("GEN-001", "after"),
        session("GEN-002", "before"),
    ];
    let later = SessionSeed {
        opened_at: at(3),
        ..HALF_AN_HOUR
    };
    for key in [&before, &excepted, &other] {
        alive(bus.seed(key, HALF_AN_HOUR).await.unwrap());
    }
    let end = EndAllSessions {
        ended_at: at(2),
        except: Some(excepted.session.clone()),
    };
    bus.end_all(&user("GEN-001"), &end, HALF_AN_HOUR.left).await.unwrap();
    let earlier = EndAllSessions {
        ended_at: at(1),
        except: None,
    };
    bus.end_all(&user("GEN-001"), &earlier, HALF_AN_HOUR.left)
        .await
        .unwrap();
    alive(bus.seed(&after, later).await.unwrap());
    assert_eq!(state(bus, &before).await, SessionState::Ended);
    assert_eq!(bus.renew_session(&before).await.unwrap().state, SessionState::Ended);
    assert_eq!(bus.seed(&before, HALF_AN_HOUR).await.unwrap(), SessionState::Ended);
    let unknown = session("GEN-001", "unknown");
    assert_eq!(bus.seed(&unknown, HALF_AN_HOUR).await.unwrap(), SessionState::Ended);
    for key in [&excepted, &after, &other] {
        alive(state(bus, key).await);
    }
    assert_eq!(listed(bus, "GEN-001").await, ["after", "excepted"]);
    alive(bus.seed(&before, later).await.unwrap());
}

async fn sessions_are_independent(bus: &dyn Bus) {
    let keys = [
        session("one", "s-1"),
        session("one", "s-2"),
        session("other", "s-1"),
        session("other", "s}:1 *"),
    ];
    for key in &keys[..3] {
        alive(bus.seed(key, HALF_AN_HOUR).await.unwrap());
    }
    bus.end(&keys[1], at(2), HALF_AN_HOUR.left).await.unwrap();
    let states = bus.check_ttl(&keys).await.unwrap();
    alive(states[0]);
    assert_eq!(states[1], SessionState::Ended);
    alive(states[2]);
    assert_eq!(states[3], SessionState::Unknown);
}

async fn state(bus: &dyn Bus, key: &SessionKey) -> SessionState {
    bus.check_ttl(std::slice::from_ref(key)).await.unwrap()[0]
}

/// Ids of a user's sessions, sorted.
async fn listed(bus: &dyn Bus, id: &str) -> Vec<String> {
    let alive = bus.alive_sessions(&user(id)).await.unwrap();
    let mut names: Vec<_> = alive.into_iter().map(|alive| alive.session.to_string()).collect();
    names.sort();
    names
}

/// Number of the announced end.
#[track_caller]
fn ending(state: SessionState) -> u64 {
    match state {
        SessionState::Ending(number) => number,
        other => panic!("the session is {other:?}"),
    }
}

#[track_caller]
fn alive(state: SessionState) -> SessionTtl {
    match state {
        SessionState::Alive(alive) => alive,
        other => panic!("the session is {other:?}"),
    }
}

/// Time of the store.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000 * seconds)
}

fn session(id: &str, session: &str) -> SessionKey {
    SessionKey {
        user: user(id),
        session: SessionId::new(session).unwrap(),
    }
}
