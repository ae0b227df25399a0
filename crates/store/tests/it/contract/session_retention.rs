//! Contract of session records: expiries of tokens.

use store::{SessionOpenOutcome, SessionOpenRequest, Store};

use super::sessions::{LONG_AGO, TIMEOUT, at, deadline, opening, session};
use crate::sample::user;

super::kept_by_both_stores!(
    latest_expiry_of_a_new_session_is_that_of_its_token,
    latest_expiry_of_a_session_that_redis_lost_is_that_of_any_accepted_token,
    saved_expiry_of_tokens_is_extended_and_never_shortened,
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
