//! Contract of alerts.

use std::time::Duration;

use lifecycle::{Clock, SystemClock};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use store::{
    Acknowledged, Link, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord, SignIn, SignInCheck, Store,
};

use crate::recorder::{Recorder, relayed};
use crate::sample::{actor, alert, alert_id, event, late_receipt, link, origin, receipt, sign_in, user};

super::kept_by_both_stores!(
    alert_is_read_back_as_raised,
    alert_raised_twice_is_one_row_and_one_event,
    alert_row_is_committed_with_its_event,
    alerts_are_paged_as_raised,
    long_alerts_shorten_pages,
    unknown_cursor_returns_alerts_from_the_first,
    alert_that_requires_action_is_open_until_acknowledged,
    only_its_user_acknowledges_an_alert,
    session_cannot_acknowledge_its_own_alert,
    session_that_verified_the_factor_is_no_longer_an_alert_subject,
    later_sign_in_may_acknowledge_and_the_original_may_not,
    session_with_wrong_factors_cannot_acknowledge_the_following_suspicion,
);

async fn names(store: &dyn Store, after: Option<&str>) -> Vec<String> {
    let after = after.map(alert_id);
    let alerts = store.alerts(&user("GEN-001"), after.as_ref()).await.unwrap();
    alerts.into_iter().map(|alert| alert.alert_id.to_string()).collect()
}

async fn alert_is_read_back_as_raised(store: &dyn Store) {
    let raised = AlertType::ALL.into_iter().zip(Severity::ALL.into_iter().cycle());
    let raised: Vec<_> = raised
        .map(|(kind, severity)| Alert {
            kind,
            severity,
            requires_action: severity == Severity::Low,
            ..alert("GEN-001", kind.as_str())
        })
        .collect();
    for alert in &raised {
        store.raise_alert(alert, &receipt("raised")).await.unwrap();
    }
    assert_eq!(store.alerts(&user("GEN-001"), None).await.unwrap(), raised);
    assert!(store.alerts(&user("GEN-002"), None).await.unwrap().is_empty());
    for alert in &raised {
        let found = store.find_alert(&user("GEN-001"), &alert.alert_id).await.unwrap();
        assert_eq!(found.as_ref(), Some(alert));
        let of_another = store.find_alert(&user("GEN-002"), &alert.alert_id).await.unwrap();
        assert_eq!(of_another, None);
    }

    let recorder = Recorder::new();
    store.relay_user(&user("GEN-001"), &recorder).await.unwrap();
    let events: Vec<_> = raised.into_iter().map(Envelope::of_alert).collect();
    assert_eq!(recorder.taken(), events);
}

async fn alert_raised_twice_is_one_row_and_one_event(store: &dyn Store) {
    store
        .raise_alert(&alert("GEN-001", "a"), &receipt("raised"))
        .await
        .unwrap();
    let again = Alert {
        message: "another".to_owned(),
        ..alert("GEN-001", "a")
    };
    store.raise_alert(&again, &receipt("raised")).await.unwrap();
    assert_eq!(
        store.alerts(&user("GEN-001"), None).await.unwrap(),
        [alert("GEN-001", "a")]
    );
    assert_eq!(relayed(store, &user("GEN-001")).await, ["a"]);
}

async fn alert_row_is_committed_with_its_event(store: &dyn Store) {
    let linked = Link {
        events: vec![event("linked"), Envelope::of_alert(alert("GEN-001", "a"))],
        ..link("GEN-001", "7")
    };
    store.link_account(&linked, &late_receipt("1")).await.unwrap_err();
    assert!(names(store, None).await.is_empty());
    store.link_account(&linked, &receipt("1")).await.unwrap();
    store.link_account(&linked, &receipt("1")).await.unwrap();
    assert_eq!(names(store, None).await, ["a"]);
    assert_eq!(relayed(store, &user("GEN-001")).await, ["linked", "a"]);
}

async fn alerts_are_paged_as_raised(store: &dyn Store) {
    // Not sorted by id.
    let raised: Vec<_> = (0..130).rev().map(|number| format!("{number:03}")).collect();
    for name in &raised {
        store
            .raise_alert(&alert("GEN-001", name), &receipt("raised"))
            .await
            .unwrap();
        store
            .raise_alert(&alert("GEN-002", name), &receipt("raised"))
            .await
            .unwrap();
    }
    let first = names(store, None).await;
    assert_eq!(first, raised[..100]);
    assert_eq!(names(store, first.last().map(String::as_str)).await, raised[100..]);
    assert!(names(store, Some("000")).await.is_empty());
}

async fn long_alerts_shorten_pages(store: &dyn Store) {
    for name in ["a", "b", "c", "d", "e"] {
        let long = Alert {
            message: "x".repeat(30 * 1024),
            ..alert("GEN-001", name)
        };
        store.raise_alert(&long, &receipt("raised")).await.unwrap();
    }
    assert_eq!(names(store, None).await, ["a", "b"]);
    assert_eq!(names(store, Some("d")).await, ["e"]);
    let longer = Alert {
        message: "x".repeat(100 * 1024),
        ..alert("GEN-001", "f")
    };
    store.raise_alert(&longer, &receipt("raised")).await.unwrap();
    assert_eq!(
        names(store, Some("e")).await,
        ["f"],
        "one that is too long is still read"
    );
}

async fn unknown_cursor_returns_alerts_from_the_first(store: &dyn Store) {
    store
        .raise_alert(&alert("GEN-001", "a"), &receipt("raised"))
        .await
        .unwrap();
    store
        .raise_alert(&alert("GEN-002", "theirs"), &receipt("raised"))
        .await
        .unwrap();
    store
        .raise_alert(&alert("GEN-001", "b"), &receipt("raised"))
        .await
        .unwrap();
    for unknown in ["never raised", "theirs"] {
        assert_eq!(names(store, Some(unknown)).await, ["a", "b"], "{unknown}");
    }
}

async fn alert_that_requires_action_is_open_until_acknowledged(store: &dyn Store) {
    let good_to_know = Alert {
        requires_action: false,
        ..alert("GEN-001", "good to know")
    };
    store.raise_alert(&good_to_know, &receipt("raised")).await.unwrap();
    for name in ["a", "b"] {
        store
            .raise_alert(&alert("GEN-001", name), &receipt("raised"))
            .await
            .unwrap();
    }
    let open = async || store.open_alerts(&user("GEN-001")).await.unwrap();
    assert_eq!(open().await, [alert("GEN-001", "a"), alert("GEN-001", "b")]);
    for _ in 0..2 {
        let known = store
            .acknowledge_alert(&user("GEN-001"), &alert_id("a"), &sign_in("s"), &receipt("seen"))
            .await
            .unwrap();
        assert_eq!(known, Acknowledged::Yes);
        assert_eq!(open().await, [alert("GEN-001", "b")]);
    }
    assert_eq!(names(store, None).await, ["good to know", "a", "b"], "it is still read");
}

async fn only_its_user_acknowledges_an_alert(store: &dyn Store) {
    store
        .raise_alert(&alert("GEN-001", "a"), &receipt("raised"))
        .await
        .unwrap();
    for (who, name) in [("GEN-002", "a"), ("GEN-001", "b")] {
        let acknowledged = store
            .acknowledge_alert(&user(who), &alert_id(name), &sign_in("s"), &receipt("seen"))
            .await;
        assert_eq!(acknowledged.unwrap(), Acknowledged::Unknown);
    }
    assert_eq!(store.open_alerts(&user("GEN-001")).await.unwrap().len(), 1);
}

/// Raises an alert of this kind whose subject is a session with this sign-in.
async fn raise_with_subject(store: &dyn Store, name: &str, kind: AlertType, subject: &SignIn) {
    let alert = Alert {
        kind,
        ..alert("GEN-001", name)
    };
    change(
        store,
        vec![Envelope::of_alert(alert)],
        SecurityEffect::Suspected(subject.clone()),
    )
    .await;
}

async fn change(store: &dyn Store, events: Vec<Envelope>, effect: SecurityEffect) {
    let decide = |record: &SecurityRecord, _| {
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record: record.clone(),
            events: events.clone(),
            outcome: JobOutcome::done(),
            receipt: None,
            audit_events: Vec::new(),
            effect: effect.clone(),
        })))
    };
    store
        .decide_security(&user("GEN-001"), &actor(), &decide)
        .await
        .unwrap();
}

async fn acknowledge(store: &dyn Store, name: &str, by: &SignIn) -> Acknowledged {
    store
        .acknowledge_alert(&user("GEN-001"), &alert_id(name), by, &receipt("seen"))
        .await
        .unwrap()
}

async fn session_cannot_acknowledge_its_own_alert(store: &dyn Store) {
    let (thief, owner) = (sign_in("thief"), sign_in("owner"));
    raise_with_subject(store, "failed", AlertType::FailedTwoFactor, &thief).await;
    let from = origin("192.0.2.1", "laptop");
    let sign_in_check = SignInCheck {
        user: &user("GEN-001"),
        sign_in: &thief,
        from: &from,
        alert_rules: &|_| vec![alert("GEN-001", "arrived")],
        receipt: &receipt("arrived"),
    };
    store.check_sign_in(&sign_in_check).await.unwrap();
    for name in ["failed", "arrived"] {
        assert_eq!(acknowledge(store, name, &thief).await, Acknowledged::OwnSession);
        assert_eq!(acknowledge(store, name, &owner).await, Acknowledged::Yes);
        assert_eq!(
            acknowledge(store, name, &thief).await,
            Acknowledged::Yes,
            "it was already"
        );
    }
    assert!(store.open_alerts(&user("GEN-001")).await.unwrap().is_empty());
}

async fn session_that_verified_the_factor_is_no_longer_an_alert_subject(store: &dyn Store) {
    let (one, other) = (sign_in("one"), sign_in("other"));
    raise_with_subject(store, "of one", AlertType::FailedTwoFactor, &one).await;
    raise_with_subject(store, "of other", AlertType::FailedTwoFactor, &other).await;
    change(store, Vec::new(), SecurityEffect::Cleared(one.session.clone())).await;
    assert_eq!(acknowledge(store, "of one", &one).await, Acknowledged::Yes);
    assert_eq!(acknowledge(store, "of other", &other).await, Acknowledged::OwnSession);
    raise_with_subject(store, "after", AlertType::FailedTwoFactor, &one).await;
    assert_eq!(acknowledge(store, "after", &one).await, Acknowledged::OwnSession);
}

async fn later_sign_in_may_acknowledge_and_the_original_may_not(store: &dyn Store) {
    let at = |at| SignIn {
        at: Some(at),
        ..sign_in("s")
    };
    let now = Timestamp::from(SystemClock.now());
    // The token issuer's clock may be ahead.
    let ahead = now.plus(Duration::from_secs(45));
    raise_with_subject(store, "a", AlertType::FailedTwoFactor, &at(ahead)).await;
    for not_later in [now.minus(Duration::from_secs(60)), ahead] {
        let acknowledged = acknowledge(store, "a", &at(not_later)).await;
        assert_eq!(acknowledged, Acknowledged::OwnSession, "{not_later}");
    }
    assert_eq!(acknowledge(store, "a", &sign_in("s")).await, Acknowledged::OwnSession);
    let later = ahead.plus(Duration::from_secs(1));
    assert_eq!(acknowledge(store, "a", &at(later)).await, Acknowledged::Yes);
}

async fn session_with_wrong_factors_cannot_acknowledge_the_following_suspicion(store: &dyn Store) {
    let (guesser, owner) = (sign_in("guesser"), sign_in("owner"));
    raise_with_subject(store, "before", AlertType::SuspiciousLogin, &owner).await;
    raise_with_subject(store, "failed", AlertType::FailedTwoFactor, &guesser).await;
    raise_with_subject(store, "suspicion", AlertType::SuspiciousLogin, &owner).await;
    raise_with_subject(store, "device", AlertType::NewDevice, &owner).await;
    assert_eq!(
        acknowledge(store, "suspicion", &guesser).await,
        Acknowledged::OwnSession
    );
    for name in ["before", "device"] {
        assert_eq!(acknowledge(store, name, &guesser).await, Acknowledged::Yes, "{name}");
    }
    change(store, Vec::new(), SecurityEffect::Cleared(guesser.session.clone())).await;
    assert_eq!(acknowledge(store, "suspicion", &guesser).await, Acknowledged::Yes);
}
