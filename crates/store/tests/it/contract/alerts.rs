//! Alerts: rows that outlive what was sent.

use protocol::cluster::envelope::Envelope;
use protocol::security::{Alert, AlertType, Severity};
use store::{Link, Store};

use crate::recorder::{Recorder, relayed};
use crate::sample::{alert, alert_id, event, late_receipt, link, receipt, user};

super::kept_by_both_stores!(
    an_alert_is_read_back_as_it_was_raised,
    an_alert_raised_twice_is_one_row_and_one_event,
    an_alert_of_a_transaction_is_a_row_of_it,
    alerts_are_read_in_their_order_page_by_page,
    long_alerts_make_short_pages,
    alerts_behind_an_unknown_one_are_all,
    an_alert_that_requires_action_is_open_until_it_is_acknowledged,
    only_its_user_acknowledges_an_alert,
);

async fn names(store: &dyn Store, after: Option<&str>) -> Vec<String> {
    let after = after.map(alert_id);
    let alerts = store.alerts(&user("GEN-001"), after.as_ref()).await.unwrap();
    alerts.into_iter().map(|alert| alert.alert_id.to_string()).collect()
}

async fn an_alert_is_read_back_as_it_was_raised(store: &dyn Store) {
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

    let recorder = Recorder::new();
    store.relay_user(&user("GEN-001"), &recorder).await.unwrap();
    let events: Vec<_> = raised.into_iter().map(Envelope::of_alert).collect();
    assert_eq!(recorder.taken(), events);
}

async fn an_alert_raised_twice_is_one_row_and_one_event(store: &dyn Store) {
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

async fn an_alert_of_a_transaction_is_a_row_of_it(store: &dyn Store) {
    let told = Link {
        events: vec![event("linked"), Envelope::of_alert(alert("GEN-001", "a"))],
        ..link("GEN-001", "7")
    };
    store.link_account(&told, &late_receipt("1")).await.unwrap_err();
    assert!(names(store, None).await.is_empty());
    store.link_account(&told, &receipt("1")).await.unwrap();
    store.link_account(&told, &receipt("1")).await.unwrap();
    assert_eq!(names(store, None).await, ["a"]);
    assert_eq!(relayed(store, &user("GEN-001")).await, ["linked", "a"]);
}

async fn alerts_are_read_in_their_order_page_by_page(store: &dyn Store) {
    // Not the order of their names.
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

async fn long_alerts_make_short_pages(store: &dyn Store) {
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

async fn alerts_behind_an_unknown_one_are_all(store: &dyn Store) {
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

async fn an_alert_that_requires_action_is_open_until_it_is_acknowledged(store: &dyn Store) {
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
            .acknowledge_alert(&user("GEN-001"), &alert_id("a"), &receipt("seen"))
            .await
            .unwrap();
        assert!(known);
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
        assert!(
            !store
                .acknowledge_alert(&user(who), &alert_id(name), &receipt("seen"))
                .await
                .unwrap()
        );
    }
    assert_eq!(store.open_alerts(&user("GEN-001")).await.unwrap().len(), 1);
}
