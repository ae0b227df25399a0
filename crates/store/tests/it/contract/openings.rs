//! Contract of the openings of sessions that record their sign-in.

use std::time::Duration;

use protocol::cluster::job::JobOutcome;
use protocol::id::SessionId;
use store::{
    OpeningSignIn, Receipt, Recognition, SecurityChange, SecurityDecision, SecurityEffect, SecurityOutcome,
    SecurityRecord, SessionLife, SessionOpenOutcome, SessionOpenRequest, SessionSelector, SignInFindings, Store,
    StoreError,
};
use tokio::join;

use super::devices::returns;
use super::sessions::end;
use crate::sample::{actor, alert, late_receipt, origin, receipt, subject, user};

super::kept_by_both_stores!(
    opening_records_the_first_device_and_accepts_the_known_one,
    opening_leaves_a_new_device_or_network_to_the_sign_in_check,
    opening_records_nothing_while_an_alert_is_open_or_would_be_raised,
    opening_after_its_deadline_writes_nothing,
    refused_opening_records_no_device,
    one_of_two_concurrent_openings_finds_the_first_device,
    opened_session_has_the_timeout_that_its_user_has_chosen,
);

/// Request of GEN-001 to open a session.
fn opening(name: &str, device: &str, address: &str) -> SessionOpenRequest {
    SessionOpenRequest {
        user: user("GEN-001"),
        session: SessionId::new(name).unwrap(),
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        timeout: TIMEOUT,
        origin: origin(address, device),
    }
}

async fn try_open(
    store: &dyn Store,
    opening: &SessionOpenRequest,
    receipt: &Receipt,
    raises_no_alert: bool,
) -> Result<SessionOpenOutcome, StoreError> {
    let sign_in = OpeningSignIn {
        raises_no_alert: &|_findings| raises_no_alert,
        receipt,
    };
    store.open_session(opening, Some(&sign_in)).await
}

async fn open(store: &dyn Store, name: &str, device: &str, address: &str) -> SessionLife {
    let opened = try_open(store, &opening(name, device, address), &receipt(name), true).await;
    life(opened.unwrap())
}

fn life(opened: SessionOpenOutcome) -> SessionLife {
    match opened {
        SessionOpenOutcome::Open(life) => life,
        refused => panic!("{refused:?}"),
    }
}

async fn audited(store: &dyn Store) -> Vec<String> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    rows.into_iter()
        .map(|row| format!("{} {}", row.seq, subject(&row)))
        .collect()
}

async fn opening_records_the_first_device_and_accepts_the_known_one(store: &dyn Store) {
    assert!(open(store, "s-1", "phone", "192.0.2.1").await.sign_in_recorded);
    assert!(open(store, "s-2", "phone", "192.0.2.2").await.sign_in_recorded);
    assert_eq!(audited(store).await, ["1 the first, on 192.0.2.0/24"]);
    let findings: SignInFindings = returns(store, "GEN-001").await;
    assert_eq!(
        (findings.device, findings.network),
        (Recognition::Known, Recognition::Known)
    );
    let restored = open(store, "s-1", "phone", "192.0.2.1").await;
    assert!(restored.sign_in_recorded && restored.left <= TIMEOUT);
}

async fn opening_leaves_a_new_device_or_network_to_the_sign_in_check(store: &dyn Store) {
    open(store, "s-1", "phone", "192.0.2.1").await;
    for (device, address) in [("laptop", "192.0.2.1"), ("phone", "198.51.100.1")] {
        for _ in 0..2 {
            assert!(
                !open(store, device, device, address).await.sign_in_recorded,
                "{device} at {address}"
            );
        }
    }
    assert_eq!(audited(store).await.len(), 1);
}

async fn opening_records_nothing_while_an_alert_is_open_or_would_be_raised(store: &dyn Store) {
    let first = opening("s-1", "phone", "192.0.2.1");
    let would_raise = try_open(store, &first, &receipt("one"), false).await;
    assert!(!life(would_raise.unwrap()).sign_in_recorded);
    store
        .raise_alert(&alert("GEN-001", "open"), &receipt("two"))
        .await
        .unwrap();
    assert!(!open(store, "s-2", "phone", "192.0.2.1").await.sign_in_recorded);
    assert_eq!(returns(store, "GEN-001").await.device, Recognition::First);
}

async fn opening_after_its_deadline_writes_nothing(store: &dyn Store) {
    let first = opening("s-1", "phone", "192.0.2.1");
    let late = try_open(store, &first, &late_receipt("late"), true).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert!(store.sessions_of(&user("GEN-001"), &[]).await.unwrap().is_empty());
    assert_eq!(returns(store, "GEN-001").await.device, Recognition::First);
}

async fn refused_opening_records_no_device(store: &dyn Store) {
    let first = opening("s-1", "phone", "192.0.2.1");
    store.open_session(&first, None).await.unwrap();
    let ended = end(store, "end", SessionSelector::One(first.session.clone())).await;
    assert_eq!(ended, Ok(1));
    let refused = try_open(store, &first, &receipt("again"), true).await.unwrap();
    assert!(matches!(refused, SessionOpenOutcome::Ended(_)), "{refused:?}");
    assert_eq!(returns(store, "GEN-001").await.device, Recognition::First);
}

async fn one_of_two_concurrent_openings_finds_the_first_device(store: &dyn Store) {
    let (one, other) = join!(
        open(store, "s-1", "phone", "192.0.2.1"),
        open(store, "s-2", "laptop", "192.0.2.1")
    );
    assert_ne!(one.sign_in_recorded, other.sign_in_recorded);
    assert_eq!(audited(store).await, ["1 the first, on 192.0.2.0/24"]);
}

async fn opened_session_has_the_timeout_that_its_user_has_chosen(store: &dyn Store) {
    assert_eq!(open(store, "s-1", "phone", "192.0.2.1").await.timeout, TIMEOUT);
    let five_minutes = |_: &SecurityRecord, _| {
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record: SecurityRecord {
                session_timeout: 5,
                ..SecurityRecord::default()
            },
            events: Vec::new(),
            outcome: JobOutcome::done(),
            receipt: None,
            audit_events: Vec::new(),
            effect: SecurityEffect::Nothing,
        })))
    };
    let decided = store.decide_security(&user("GEN-001"), &actor(), &five_minutes).await;
    assert!(matches!(decided, Ok(SecurityOutcome::Committed(_))), "{decided:?}");
    let chosen = open(store, "s-2", "phone", "192.0.2.1").await;
    assert_eq!(
        (chosen.timeout, chosen.left),
        (Duration::from_secs(300), Duration::from_secs(300))
    );
}

/// Timeout of the operator.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
