//! Contract of session records: expiries of tokens, and deletion of sessions.

use std::time::Duration;

use store::{PrunedTable, RetentionTimes, SessionOpenOutcome, SessionOpenRequest, Store};

use super::sessions::{LONG_AGO, TIMEOUT, at, deadline, end, one, opening, session};
use crate::pruning::{TIMES, prune_table};
use crate::sample::user;

super::kept_by_both_stores!(
    latest_expiry_of_a_new_session_is_that_of_its_token,
    latest_expiry_of_a_session_that_redis_lost_is_that_of_any_accepted_token,
    saved_expiry_of_tokens_is_extended_and_never_shortened,
    ended_session_is_deleted_after_its_retention,
    session_whose_end_is_unconfirmed_is_not_deleted,
    ended_session_is_kept_while_tokens_are_presented_in_it,
    live_session_is_not_deleted,
);

/// Latest expiry of tokens, of a session that a token opens which expires then. In a second request, any accepted token expires at
/// `latest`.
async fn latest_expiry(store: &dyn Store, name: &str, expires_in: u64, latest: Option<u64>) -> Option<u64> {
    let opening = SessionOpenRequest {
        expires_at: Some(at(expires_in)),
        latest_expiry: latest.map(at),
        ..opening(name, 0)
    };
    match store.open_session(&opening, None).await.unwrap() {
        SessionOpenOutcome::Open(life) => life.latest_expiry.map(|time| time.as_secs().unsigned_abs() - LONG_AGO),
        refused => panic!("{refused:?}"),
    }
}

async fn latest_expiry_of_a_new_session_is_that_of_its_token(store: &dyn Store) {
    assert_eq!(latest_expiry(store, "s-1", 100, Some(500)).await, Some(100));
}

async fn latest_expiry_of_a_session_that_redis_lost_is_that_of_any_accepted_token(store: &dyn Store) {
    latest_expiry(store, "s-1", 100, Some(500)).await;
    assert_eq!(latest_expiry(store, "s-1", 90, None).await, Some(100));
    assert_eq!(latest_expiry(store, "s-1", 90, Some(500)).await, Some(500));
}

async fn saved_expiry_of_tokens_is_extended_and_never_shortened(store: &dyn Store) {
    latest_expiry(store, "s-1", 100, None).await;
    let key = (user("GEN-001"), session("s-1"));
    for saved in [Some(300), Some(200), None] {
        let live = deadline(TIMEOUT, saved.map(at));
        store.save_deadlines(&[(key.clone(), live)]).await.unwrap();
    }
    assert_eq!(latest_expiry(store, "s-1", 90, None).await, Some(300));
}

/// Deletes ended sessions as soon as the tokens that were presented in them have expired.
const AT_ONCE: RetentionTimes = RetentionTimes {
    ended_sessions: Duration::ZERO,
    ..TIMES
};

async fn forget(store: &dyn Store, times: &RetentionTimes) -> u64 {
    prune_table(store, PrunedTable::Sessions, times).await
}

/// Opens a session with a token that has expired, and ends it.
async fn ended(store: &dyn Store) {
    latest_expiry(store, "s-1", 100, None).await;
    assert_eq!(end(store, "1", one("s-1")).await, Ok(1));
}

async fn confirm(store: &dyn Store) {
    let user = user("GEN-001");
    let ends = store.unconfirmed_ends(&user).await.unwrap();
    store.confirm_ends(&user, &ends).await.unwrap();
}

async fn ended_session_is_deleted_after_its_retention(store: &dyn Store) {
    ended(store).await;
    confirm(store).await;
    assert_eq!(forget(store, &TIMES).await, 0);
    assert!(store.is_session_ended(&user("GEN-001"), &session("s-1")).await.unwrap());
    assert_eq!(forget(store, &AT_ONCE).await, 1);
    assert_eq!(latest_expiry(store, "s-1", 200, None).await, Some(200), "it is unknown");
}

async fn session_whose_end_is_unconfirmed_is_not_deleted(store: &dyn Store) {
    ended(store).await;
    assert_eq!(forget(store, &AT_ONCE).await, 0);
}

async fn ended_session_is_kept_while_tokens_are_presented_in_it(store: &dyn Store) {
    ended(store).await;
    confirm(store).await;
    let attempt = SessionOpenRequest {
        expires_at: Some(at(2_000_000_000)),
        ..opening("s-1", 0)
    };
    let refused = store.open_session(&attempt, None).await.unwrap();
    assert!(matches!(refused, SessionOpenOutcome::Ended(_)), "{refused:?}");
    assert_eq!(forget(store, &AT_ONCE).await, 0);
}

async fn live_session_is_not_deleted(store: &dyn Store) {
    latest_expiry(store, "s-1", 100, None).await;
    store.mark_deadlines_saved(Duration::ZERO).await.unwrap();
    assert_eq!(forget(store, &AT_ONCE).await, 0);
}
