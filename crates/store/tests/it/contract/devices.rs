//! Contract of devices and sign-in checks.

use protocol::cluster::job::JobOutcome;
use protocol::security::{Alert, FactorMethod};
use store::{
    Factor, Recognition, SecurityChange, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord,
    SignInCheck, SignInFindings, Store, StoreError,
};
use tokio::join;

use crate::recorder::relayed;
use crate::sample::{actor, alert, encrypted, late_receipt, origin, receipt, sign_in, subject, user};

super::kept_by_both_stores!(
    device_is_first_then_new_then_known,
    alerts_of_a_sign_in_check_are_raised_once_and_audited,
    one_of_two_concurrent_checks_finds_the_device_new,
    sign_in_check_after_its_deadline_records_nothing,
    findings_count_wrong_second_factors,
);

/// Checks a sign-in from the usual device.
pub(crate) async fn returns(store: &dyn Store, who: &str) -> SignInFindings {
    check_sign_in(store, who, "phone", "192.0.2.1").await
}

async fn check_sign_in(store: &dyn Store, who: &str, device: &str, address: &str) -> SignInFindings {
    let sign_in_check = SignInCheck {
        user: &user(who),
        sign_in: &sign_in("s"),
        from: &origin(address, device),
        alert_rules: &|_findings| Vec::new(),
        receipt: &receipt("arrived"),
    };
    store.check_sign_in(&sign_in_check).await.unwrap()
}

async fn audited(store: &dyn Store) -> Vec<[String; 2]> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    rows.into_iter()
        .map(|row| [row.action.clone(), subject(&row)])
        .collect()
}

async fn device_is_first_then_new_then_known(store: &dyn Store) {
    use Recognition::{First, Known, New};
    for (device, address, known) in [
        ("phone", "192.0.2.1", (First, First)),
        ("phone", "192.0.2.2", (Known, Known)),
        ("laptop", "192.0.2.1", (New, Known)),
        ("phone", "2001:db8::1", (Known, New)),
        ("tablet", "2001:db9::1", (New, New)),
        ("tablet", "2001:db9::2", (Known, Known)),
    ] {
        let findings = check_sign_in(store, "GEN-001", device, address).await;
        assert_eq!((findings.device, findings.network), known, "{device} at {address}");
        assert_eq!((findings.failures, findings.last_failed), (0, None));
    }
    let another = check_sign_in(store, "GEN-002", "phone", "192.0.2.1").await;
    assert_eq!((another.device, another.network), (First, First));
    assert_eq!(
        audited(store).await,
        [
            ["device_seen", "the first, on 192.0.2.0/24"],
            ["device_seen", "new, on 192.0.2.0/24"],
            ["device_seen", "new, on 2001:db9::/48, which is new"],
        ]
    );
}

/// Alert for a new device, with its time as the id.
fn alerts_for_new(findings: &SignInFindings) -> Vec<Alert> {
    let new = findings.device == Recognition::New;
    new.then(|| alert("GEN-001", "new")).into_iter().collect()
}

async fn alerts_of_a_sign_in_check_are_raised_once_and_audited(store: &dyn Store) {
    check_sign_in(store, "GEN-001", "phone", "192.0.2.1").await;
    let always = |_: &SignInFindings| vec![alert("GEN-001", "always")];
    for alert_rules in [
        &alerts_for_new as &(dyn Fn(&SignInFindings) -> Vec<Alert> + Send + Sync),
        &always,
        &always,
    ] {
        let sign_in_check = SignInCheck {
            user: &user("GEN-001"),
            sign_in: &sign_in("s"),
            from: &origin("192.0.2.1", "laptop"),
            alert_rules,
            receipt: &receipt("arrived"),
        };
        store.check_sign_in(&sign_in_check).await.unwrap();
    }
    assert_eq!(relayed(store, &user("GEN-001")).await, ["new", "always"]);
    let open = store.open_alerts(&user("GEN-001")).await.unwrap();
    assert_eq!(open, [alert("GEN-001", "new"), alert("GEN-001", "always")]);
    let audited = audited(store).await;
    assert_eq!(
        audited[1..],
        [
            ["device_seen", "new, on 192.0.2.0/24"],
            ["alert_raised", "suspicious_login new"],
            ["alert_raised", "suspicious_login always"],
        ]
    );
}

async fn one_of_two_concurrent_checks_finds_the_device_new(store: &dyn Store) {
    check_sign_in(store, "GEN-001", "phone", "192.0.2.1").await;
    for round in 0..10 {
        let device = round.to_string();
        let (one, other) = join!(
            check_sign_in(store, "GEN-001", &device, "192.0.2.1"),
            check_sign_in(store, "GEN-001", &device, "192.0.2.1")
        );
        let new = [one, other]
            .iter()
            .filter(|seen| seen.device == Recognition::New)
            .count();
        assert_eq!(new, 1, "{device}");
    }
}

async fn sign_in_check_after_its_deadline_records_nothing(store: &dyn Store) {
    let late = SignInCheck {
        user: &user("GEN-001"),
        sign_in: &sign_in("s"),
        from: &origin("192.0.2.1", "phone"),
        alert_rules: &alerts_for_new,
        receipt: &late_receipt("late"),
    };
    let late = store.check_sign_in(&late).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    let findings = check_sign_in(store, "GEN-001", "phone", "192.0.2.1").await;
    assert_eq!(findings.device, Recognition::First);
}

async fn findings_count_wrong_second_factors(store: &dyn Store) {
    let decided = store
        .decide_security(&user("GEN-001"), &actor(), &|_record, now| {
            let factor = Factor {
                method: FactorMethod::Totp,
                secret: encrypted("secret"),
                last_step: 0,
                sent: Vec::new(),
                failures: 3,
                last_failed: Some(now),
                recovery_key: None,
                recovery_codes: Vec::new(),
                recovery_attempts: Vec::new(),
                lock: None,
            };
            Ok(SecurityDecision::Change(Box::new(SecurityChange {
                record: SecurityRecord {
                    factor: Some(factor),
                    ..SecurityRecord::default()
                },
                events: Vec::new(),
                outcome: JobOutcome::done(),
                receipt: None,
                audit_events: Vec::new(),
                effect: SecurityEffect::Nothing,
            })))
        })
        .await;
    assert!(matches!(decided, Ok(SecurityOutcome::Committed(_))), "{decided:?}");
    let findings = check_sign_in(store, "GEN-001", "phone", "192.0.2.1").await;
    assert_eq!(findings.failures, 3);
    let since = findings.now.since(findings.last_failed.unwrap());
    assert!(since.as_secs() < 600, "{since:?}");
}
