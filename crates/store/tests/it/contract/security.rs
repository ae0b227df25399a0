//! Contract of security settings and second factors.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use protocol::cluster::job::JobOutcome;
use protocol::id::SessionId;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{
    AuditAction, AuditEvent, Factor, FactorLock, Link, LinkOutcome, PendingFactor, Receipt, RecoveryAttempt,
    SecurityChange, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, SentCode, Store, StoreError,
    verify_audit,
};

use crate::recorder::relayed;
use crate::sample::{actor, audit_keys, encrypted, event, late_receipt, link, receipt, user};

super::kept_by_both_stores!(
    new_user_has_the_default_record,
    record_is_read_back_as_written,
    concurrent_decisions_are_serialized,
    repeated_job_changes_nothing,
    refusal_deadline_or_unreadable_text_changes_nothing,
    security_changes_are_audited_with_their_actor,
    change_that_ends_authorizations_refuses_earlier_links,
);

fn outcome() -> JobOutcome {
    JobOutcome::done()
}

/// Change to this record with an event of this name.
fn to(record: SecurityRecord, recorded: &str, receipt: Option<Receipt>) -> SecurityDecision {
    SecurityDecision::Change(Box::new(SecurityChange {
        record,
        events: vec![event(recorded)],
        outcome: outcome(),
        receipt,
        audit_events: Vec::new(),
        effect: SecurityEffect::Nothing,
    }))
}

fn minutes(session_timeout: u32) -> SecurityRecord {
    SecurityRecord {
        session_timeout,
        ..SecurityRecord::default()
    }
}

async fn new_user_has_the_default_record(store: &dyn Store) {
    let record = store.security(&user("GEN-001")).await.unwrap();
    assert_eq!(record, SecurityRecord::default());
    assert_eq!(
        (record.session_timeout, record.settings().two_factor_enabled),
        (30, false)
    );
}

async fn record_is_read_back_as_written(store: &dyn Store) {
    let user = user("GEN-001");
    let session = SessionId::new("s-1").unwrap();
    let sent = |challenge: &str, code| SentCode {
        challenge: challenge.to_owned(),
        session: session.clone(),
        code,
        until: Timestamp::from_millis(1_795_451_460_013),
    };
    let factor = Factor {
        method: FactorMethod::Totp,
        secret: encrypted("secret"),
        last_step: 59_000_000,
        sent: Vec::new(),
        failures: 12,
        last_failed: Some(Timestamp::from_millis(1_795_451_460_007)),
        recovery_key: Some(encrypted("recovery key")),
        recovery_codes: vec![[1; 32], [2; 32]],
        recovery_attempts: vec![RecoveryAttempt {
            at: Timestamp::from_millis(1_795_451_460_009),
            session: session.clone(),
        }],
        lock: Some(FactorLock {
            since: Timestamp::from_millis(1_795_451_460_015),
            until: Some(Timestamp::from_millis(1_795_451_460_017)),
        }),
    };
    let pending = PendingFactor {
        method: FactorMethod::Sms,
        secret: encrypted("next secret"),
        code: Some([3; 32]),
        challenge: "challenge".to_owned(),
        session: session.clone(),
        until: Timestamp::from_millis(1_795_451_460_011),
    };
    let fresh = Factor {
        method: FactorMethod::Email,
        sent: vec![sent("one", Some([7; 32])), sent("two", None)],
        last_failed: None,
        recovery_key: None,
        recovery_codes: Vec::new(),
        recovery_attempts: Vec::new(),
        lock: Some(FactorLock {
            since: Timestamp::from_millis(1_795_451_460_019),
            until: None,
        }),
        ..factor.clone()
    };
    let unlocked = Factor {
        lock: None,
        ..fresh.clone()
    };
    for record in [
        SecurityRecord {
            factor: Some(factor),
            pending: Some(pending),
            ..minutes(1_440)
        },
        SecurityRecord {
            factor: Some(fresh),
            ..minutes(1)
        },
        SecurityRecord {
            factor: Some(unlocked),
            ..minutes(1)
        },
        minutes(30),
    ] {
        let decided = store
            .decide_security(&user, &actor(), &|_, _| Ok(to(record.clone(), "changed", None)))
            .await;
        assert_eq!(decided.unwrap(), SecurityOutcome::Committed(outcome()));
        assert_eq!(store.security(&user).await.unwrap(), record);
    }
}

async fn concurrent_decisions_are_serialized(store: &dyn Store) {
    let user = user("GEN-001");
    let one_more = |record: &SecurityRecord, _| Ok(to(minutes(record.session_timeout + 1), "changed", None));
    let actor = actor();
    let decided = join_all((0..20).map(|_| store.decide_security(&user, &actor, &one_more))).await;
    assert!(decided.iter().all(Result::is_ok), "{decided:?}");
    assert_eq!(store.security(&user).await.unwrap().session_timeout, 50);
}

async fn repeated_job_changes_nothing(store: &dyn Store) {
    let user = user("GEN-001");
    let first = |_: &SecurityRecord, _| Ok(to(minutes(5), "first", Some(receipt("1"))));
    let again = |_: &SecurityRecord, _| Ok(to(minutes(6), "again", Some(receipt("1"))));
    assert_eq!(
        store.decide_security(&user, &actor(), &first).await.unwrap(),
        SecurityOutcome::Committed(outcome())
    );
    assert_eq!(
        store.decide_security(&user, &actor(), &again).await.unwrap(),
        SecurityOutcome::Repeated(encrypted("answer to 1"))
    );
    assert_eq!(store.security(&user).await.unwrap().session_timeout, 5);
    assert_eq!(relayed(store, &user).await, ["first"]);
}

async fn refusal_deadline_or_unreadable_text_changes_nothing(store: &dyn Store) {
    let user = user("GEN-001");
    let asked = AtomicU32::new(0);
    let leave = |_: &SecurityRecord, now: Timestamp| {
        asked.fetch_add(1, Ordering::SeqCst);
        assert!(now > Timestamp::from_millis(0).plus(Duration::from_secs(1)));
        Ok(SecurityDecision::Leave(outcome()))
    };
    assert_eq!(
        store.decide_security(&user, &actor(), &leave).await.unwrap(),
        SecurityOutcome::Committed(outcome())
    );
    let late = |_: &SecurityRecord, _| Ok(to(minutes(6), "late", Some(late_receipt("1"))));
    let error = store.decide_security(&user, &actor(), &late).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLate(_)), "{error:?}");
    let unreadable = |_: &SecurityRecord, _| Err(VaultError::Altered);
    let error = store.decide_security(&user, &actor(), &unreadable).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(store.security(&user).await.unwrap(), SecurityRecord::default());
    assert_eq!(relayed(store, &user).await, Vec::<String>::new());
}

async fn security_changes_are_audited_with_their_actor(store: &dyn Store) {
    let user = user("GEN-001");
    let audit_event = |action, subject: &str| AuditEvent {
        action,
        subject: subject.to_owned(),
    };
    let audit_events = vec![
        audit_event(AuditAction::SettingsChanged, "sessionTimeout 5"),
        audit_event(AuditAction::FactorDisabled, "totp"),
    ];
    let decide = |_: &SecurityRecord, _| {
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record: minutes(5),
            events: Vec::new(),
            outcome: outcome(),
            receipt: Some(receipt("1")),
            audit_events: audit_events.clone(),
            effect: SecurityEffect::Nothing,
        })))
    };
    for _ in 0..2 {
        store.decide_security(&user, &actor(), &decide).await.unwrap();
    }
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    let recorded: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.action.as_str(),
                &row.subject,
                &row.result,
                &row.session,
                &row.connection,
                &row.job,
            ]
        })
        .collect();
    assert_eq!(
        recorded,
        [
            [
                "settings_changed",
                "sessionTimeout 5",
                "ok",
                "session",
                "connection",
                "1"
            ],
            ["factor_disabled", "totp", "ok", "session", "connection", "1"],
        ]
    );
    verify_audit(store, &audit_keys(), "GEN-001", &[]).await.unwrap();
}

async fn change_that_ends_authorizations_refuses_earlier_links(store: &dyn Store) {
    let user = user("GEN-001");
    let started = store.access_epoch(&user).await.unwrap();
    let decide = |effect: SecurityEffect| {
        move |record: &SecurityRecord, _: Timestamp| {
            Ok(SecurityDecision::Change(Box::new(SecurityChange {
                record: record.clone(),
                events: Vec::new(),
                outcome: outcome(),
                receipt: None,
                audit_events: Vec::new(),
                effect: effect.clone(),
            })))
        }
    };
    store
        .decide_security(&user, &actor(), &decide(SecurityEffect::Nothing))
        .await
        .unwrap();
    assert_eq!(store.access_epoch(&user).await.unwrap(), started);
    let ends = decide(SecurityEffect::AuthorizationsEnd);
    store.decide_security(&user, &actor(), &ends).await.unwrap();
    let before = Link {
        access_epoch: started,
        ..link("GEN-001", "7")
    };
    let linked = store.link_account(&before, &receipt("1")).await.unwrap();
    assert_eq!(linked, LinkOutcome::EpochMoved);
    let after = Link {
        access_epoch: store.access_epoch(&user).await.unwrap(),
        ..before
    };
    let linked = store.link_account(&after, &receipt("2")).await.unwrap();
    assert_eq!(linked, LinkOutcome::Linked);
}
