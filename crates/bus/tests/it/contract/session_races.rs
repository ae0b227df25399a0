//! Races of renewals with a warning or a deadline in the same millisecond, from two nodes, 1,000 times.

use std::future::pending;
use std::time::Duration;

use bus::{Bus, SessionKey, SessionRenewal, SessionSeed, SessionState, SessionTtl, TokenTimes};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use protocol::id::SessionId;
use protocol::time::Timestamp;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::sample::user;

test_all!(
    renewal_at_the_deadline_extends_the_session_or_finds_it_expired,
    one_of_two_renewals_at_the_warning_reports_it,
);

async fn renewal_at_the_deadline_extends_the_session_or_finds_it_expired(bus: &dyn Bus) {
    rounds(async |round| {
        let key = session(round);
        bus.seed(&key, ENDING).await.unwrap();
        // As close to the deadline as polling gets, on either side.
        let margin = Duration::from_millis(u64::from(round % 3));
        while let Some(alive) = alive(state(bus, &key).await).filter(|alive| alive.left > margin) {
            until_shortly_before(alive.left).await;
        }
        let renewal = bus.renew_session(&key).await.unwrap();
        let after = alive(state(bus, &key).await);
        match alive(renewal.state) {
            Some(extended) => {
                let after = after.unwrap_or_else(|| panic!("round {round}: renewed and expired"));
                assert_eq!(after.generation, extended.generation, "round {round}");
                assert!(after.left > ENDING.left, "round {round}: {after:?}");
            }
            None => assert_eq!(after, None, "round {round}: expired and live again"),
        }
    })
    .await;
}

async fn one_of_two_renewals_at_the_warning_reports_it(bus: &dyn Bus) {
    rounds(async |round| {
        let key = session(round);
        bus.seed(&key, WARNING).await.unwrap();
        while let Some(alive) = alive(state(bus, &key).await).filter(|alive| !alive.warns_in.is_zero()) {
            until_shortly_before(alive.warns_in).await;
        }
        let activities = join_all([bus.renew_session(&key), bus.renew_session(&key)]).await;
        let activities: Vec<SessionRenewal> = activities.into_iter().map(Result::unwrap).collect();
        let announced = activities.iter().filter(|renewal| renewal.after_warning).count();
        assert_eq!(announced, 1, "round {round}: {activities:?}");
        let after = alive(state(bus, &key).await).unwrap();
        assert!(
            !after.warns_in.is_zero(),
            "round {round}: warned in a renewed generation"
        );
    })
    .await;
}

/// Runs all rounds, a part of them at the same time.
async fn rounds(round: impl AsyncFn(u32)) {
    let running = stream::iter(0..ROUNDS)
        .map(|number| round(number))
        .buffer_unordered(AT_ONCE);
    running.for_each(async |()| {}).await;
}

/// Waits for all but the last milliseconds of a time: a thousand rounds that poll for all of it keep the bus busy, and each other from it.
async fn until_shortly_before(left: Duration) {
    drop(timeout(left.saturating_sub(CLOSE), pending::<()>()).await);
    yield_now().await;
}

async fn state(bus: &dyn Bus, key: &SessionKey) -> SessionState {
    bus.check_ttl(std::slice::from_ref(key)).await.unwrap()[0]
}

fn alive(state: SessionState) -> Option<SessionTtl> {
    match state {
        SessionState::Alive(alive) => Some(alive),
        _ => None,
    }
}

fn session(round: u32) -> SessionKey {
    SessionKey {
        user: user(&format!("GEN-{round}")),
        session: SessionId::new("s-1").unwrap(),
    }
}

const ROUNDS: u32 = 1_000;
/// Rounds at the same time: of all of them a debug build cannot begin so many within the timeout of a command.
const AT_ONCE: usize = 200;
/// Time before a deadline or a warning from which on it is polled for.
const CLOSE: Duration = Duration::from_millis(20);

const ENDING: SessionSeed = SessionSeed {
    left: Duration::from_millis(500),
    timeout: Duration::from_secs(30 * 60),
    lead: Duration::from_millis(250),
    opened_at: Timestamp::from_millis(1_000),
    tokens: TokenTimes::UNKNOWN,
    announced: None,
};

const WARNING: SessionSeed = SessionSeed {
    left: Duration::from_secs(60),
    timeout: Duration::from_secs(30 * 60),
    lead: Duration::from_millis(59_500),
    opened_at: Timestamp::from_millis(1_000),
    tokens: TokenTimes::UNKNOWN,
    announced: None,
};
