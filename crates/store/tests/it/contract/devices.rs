//! Devices and networks that users were seen with.

use protocol::answer::Answer;
use protocol::cluster::job::Outcome;
use protocol::security::{Alert, FactorMethod};
use store::{
    Acquaintance, Arrival, Change, Decided, Decision, Effect, Factor, Novelty, SecurityRecord, Store, StoreError,
};
use tokio::join;

use crate::recorder::relayed;
use crate::sample::{actor, alert, late_receipt, origin, receipt, sealed, sign_in, user};

super::kept_by_both_stores!(
    a_device_is_the_first_then_new_then_known,
    what_is_judged_is_raised_once_and_told,
    of_two_who_see_a_device_at_once_one_finds_it_new,
    an_arrival_that_comes_too_late_is_not_noted,
    wrong_second_factors_are_shown,
);

/// With the same device as always.
pub(crate) async fn returns(store: &dyn Store, who: &str) -> Novelty {
    arrive(store, who, "phone", "192.0.2.1").await
}

async fn arrive(store: &dyn Store, who: &str, device: &str, address: &str) -> Novelty {
    let arrival = Arrival {
        user: &user(who),
        sign_in: &sign_in("s"),
        from: &origin(address, device),
        judge: &|_novelty| Vec::new(),
        receipt: &receipt("arrived"),
    };
    store.arrive(&arrival).await.unwrap()
}

async fn told(store: &dyn Store) -> Vec<[String; 2]> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    rows.into_iter().map(|row| [row.act, row.about]).collect()
}

async fn a_device_is_the_first_then_new_then_known(store: &dyn Store) {
    use Acquaintance::{First, Known, New};
    for (device, address, known) in [
        ("phone", "192.0.2.1", (First, First)),
        ("phone", "192.0.2.2", (Known, Known)),
        ("laptop", "192.0.2.1", (New, Known)),
        ("phone", "2001:db8::1", (Known, New)),
        ("tablet", "2001:db9::1", (New, New)),
        ("tablet", "2001:db9::2", (Known, Known)),
    ] {
        let novelty = arrive(store, "GEN-001", device, address).await;
        assert_eq!((novelty.device, novelty.network), known, "{device} at {address}");
        assert_eq!((novelty.failures, novelty.last_failed), (0, None));
    }
    let another = arrive(store, "GEN-002", "phone", "192.0.2.1").await;
    assert_eq!((another.device, another.network), (First, First));
    assert_eq!(
        told(store).await,
        [
            ["device_seen", "the first, on 192.0.2.0/24"],
            ["device_seen", "new, on 192.0.2.0/24"],
            ["device_seen", "new, on 2001:db9::/48, which is new"],
        ]
    );
}

/// An alert for what is new, named for its time.
fn for_new(novelty: &Novelty) -> Vec<Alert> {
    let new = novelty.device == Acquaintance::New;
    new.then(|| alert("GEN-001", "new")).into_iter().collect()
}

async fn what_is_judged_is_raised_once_and_told(store: &dyn Store) {
    arrive(store, "GEN-001", "phone", "192.0.2.1").await;
    let always = |_: &Novelty| vec![alert("GEN-001", "always")];
    for judge in [
        &for_new as &(dyn Fn(&Novelty) -> Vec<Alert> + Send + Sync),
        &always,
        &always,
    ] {
        let arrival = Arrival {
            user: &user("GEN-001"),
            sign_in: &sign_in("s"),
            from: &origin("192.0.2.1", "laptop"),
            judge,
            receipt: &receipt("arrived"),
        };
        store.arrive(&arrival).await.unwrap();
    }
    assert_eq!(relayed(store, &user("GEN-001")).await, ["new", "always"]);
    let open = store.open_alerts(&user("GEN-001")).await.unwrap();
    assert_eq!(open, [alert("GEN-001", "new"), alert("GEN-001", "always")]);
    let told = told(store).await;
    assert_eq!(
        told[1..],
        [
            ["device_seen", "new, on 192.0.2.0/24"],
            ["alert_raised", "suspicious_login new"],
            ["alert_raised", "suspicious_login always"],
        ]
    );
}

async fn of_two_who_see_a_device_at_once_one_finds_it_new(store: &dyn Store) {
    arrive(store, "GEN-001", "phone", "192.0.2.1").await;
    for round in 0..10 {
        let device = round.to_string();
        let (one, other) = join!(
            arrive(store, "GEN-001", &device, "192.0.2.1"),
            arrive(store, "GEN-001", &device, "192.0.2.1")
        );
        let new = [one, other]
            .iter()
            .filter(|seen| seen.device == Acquaintance::New)
            .count();
        assert_eq!(new, 1, "{device}");
    }
}

async fn an_arrival_that_comes_too_late_is_not_noted(store: &dyn Store) {
    let late = Arrival {
        user: &user("GEN-001"),
        sign_in: &sign_in("s"),
        from: &origin("192.0.2.1", "phone"),
        judge: &for_new,
        receipt: &late_receipt("late"),
    };
    let late = store.arrive(&late).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    let novelty = arrive(store, "GEN-001", "phone", "192.0.2.1").await;
    assert_eq!(novelty.device, Acquaintance::First);
}

async fn wrong_second_factors_are_shown(store: &dyn Store) {
    let decided = store
        .decide_security(&user("GEN-001"), &actor(), &|_record, now| {
            let factor = Factor {
                method: FactorMethod::Totp,
                secret: sealed("secret"),
                last_step: 0,
                sent: Vec::new(),
                failures: 3,
                last_failed: Some(now),
                recovery_key: None,
                recovery_codes: Vec::new(),
                recovery_tried: Vec::new(),
            };
            Ok(Decision::Change(Box::new(Change {
                record: SecurityRecord {
                    factor: Some(factor),
                    ..SecurityRecord::default()
                },
                events: Vec::new(),
                outcome: Outcome::from(&Answer::Acknowledged),
                receipt: None,
                deeds: Vec::new(),
                effect: Effect::Nothing,
            })))
        })
        .await;
    assert!(matches!(decided, Ok(Decided::Now(_))), "{decided:?}");
    let novelty = arrive(store, "GEN-001", "phone", "192.0.2.1").await;
    assert_eq!(novelty.failures, 3);
    let since = novelty.now.since(novelty.last_failed.unwrap());
    assert!(since.as_secs() < 600, "{since:?}");
}
