//! Contract of alerts that are raised in groups.

use std::time::Duration;

use protocol::cluster::envelope::Envelope;
use store::{AlertRequest, OutboxBacklog, RaisedAlert, SentEvent, Store, StoreError, verify_audit};

use crate::recorder::{Recorder, relayed};
use crate::sample::{alert, alert_request, audit_keys, late_receipt, link, receipt, user};

super::kept_by_both_stores!(
    group_raises_each_alert_as_if_alone,
    events_of_a_group_are_numbered_in_its_sequence,
    marked_event_is_not_relayed_again,
    alert_behind_an_unsent_event_is_left_to_the_relay,
    known_alert_is_not_published_by_its_group,
    alert_on_behalf_of_a_session_is_raised_alone,
    group_past_its_earliest_deadline_commits_nothing,
);

fn sent(raised: &[RaisedAlert]) -> Vec<SentEvent> {
    let published = raised.iter().filter_map(|raised| match raised {
        RaisedAlert::Publish(id) => Some(SentEvent {
            id: *id,
            age: Duration::ZERO,
        }),
        RaisedAlert::Relay | RaisedAlert::Alone => None,
    });
    published.collect()
}

async fn names(store: &dyn Store, user_id: &str) -> Vec<String> {
    let alerts = store.alerts(&user(user_id), None).await.unwrap();
    alerts.into_iter().map(|alert| alert.alert_id.to_string()).collect()
}

async fn group_raises_each_alert_as_if_alone(store: &dyn Store) {
    store
        .raise_alert(&alert("GEN-001", "before"), &receipt("before"))
        .await
        .unwrap();
    relayed(store, &user("GEN-001")).await;
    let mut nul = alert("GEN-003", "d");
    nul.message = "a\0b".to_owned();
    let group = [
        alert_request("GEN-001", "a"),
        alert_request("GEN-002", "b"),
        alert_request("GEN-001", "c"),
        AlertRequest::new(nul, alert_request("GEN-003", "d").receipt().clone()),
    ];
    let raised = store.raise_alerts(&group, &[]).await.unwrap();
    assert_eq!(sent(&raised).len(), 4, "{raised:?}");
    assert_eq!(names(store, "GEN-001").await, ["before", "a", "c"]);
    assert_eq!(names(store, "GEN-002").await, ["b"]);
    assert_eq!(
        store.alerts(&user("GEN-001"), None).await.unwrap()[1],
        alert("GEN-001", "a")
    );

    for (user_id, rows) in [("GEN-001", 3), ("GEN-002", 1), ("GEN-003", 1)] {
        assert_eq!(verify_audit(store, &audit_keys(), user_id, &[]).await.unwrap(), rows);
    }
    let rows = store.audit_rows("GEN-001", 1, i64::MAX, 10).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.subject.as_str(), row.job.as_str()))
        .collect();
    assert_eq!(rows, [("suspicious_login a", "a"), ("suspicious_login c", "c")]);
}

async fn events_of_a_group_are_numbered_in_its_sequence(store: &dyn Store) {
    let all: Vec<_> = (0..100).rev().map(|number| format!("{number:03}")).collect();
    let group: Vec<_> = all.iter().map(|name| alert_request("GEN-001", name)).collect();
    store.raise_alerts(&group, &[]).await.unwrap();
    let recorder = Recorder::new();
    store.relay_user(&user("GEN-001"), &recorder).await.unwrap();
    let events = all.iter().map(|name| Envelope::of_alert(alert("GEN-001", name)));
    assert_eq!(recorder.taken(), events.collect::<Vec<_>>());
    assert_eq!(names(store, "GEN-001").await, all);
}

async fn marked_event_is_not_relayed_again(store: &dyn Store) {
    let group = [alert_request("GEN-001", "a"), alert_request("GEN-002", "b")];
    let raised = store.raise_alerts(&group, &[]).await.unwrap();
    // The next group marks them, or a statement of its own does.
    let next = store
        .raise_alerts(&[alert_request("GEN-001", "c")], &sent(&raised))
        .await
        .unwrap();
    assert_eq!(sent(&next).len(), 1, "{next:?}");
    assert_eq!(relayed(store, &user("GEN-002")).await, Vec::<String>::new());
    store.mark_sent(&sent(&next)).await.unwrap();
    assert_eq!(relayed(store, &user("GEN-001")).await, Vec::<String>::new());
    assert_eq!(store.outbox_backlog().await.unwrap(), OutboxBacklog::default());
}

async fn alert_behind_an_unsent_event_is_left_to_the_relay(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    let group = [
        alert_request("GEN-001", "a"),
        alert_request("GEN-002", "b"),
        alert_request("GEN-001", "c"),
    ];
    let raised = store.raise_alerts(&group, &[]).await.unwrap();
    assert_eq!((raised[0], raised[2]), (RaisedAlert::Relay, RaisedAlert::Relay));
    assert!(matches!(raised[1], RaisedAlert::Publish(_)), "{raised:?}");
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 linked 7", "a", "c"]);
    // An event of the group before is behind it too, while it is not marked.
    let next = store.raise_alerts(&[alert_request("GEN-002", "d")], &[]).await.unwrap();
    assert_eq!(next, [RaisedAlert::Relay]);
}

async fn known_alert_is_not_published_by_its_group(store: &dyn Store) {
    store.raise_alert(&alert("GEN-001", "a"), &receipt("1")).await.unwrap();
    let group = [
        alert_request("GEN-001", "a"),
        alert_request("GEN-002", "b"),
        alert_request("GEN-002", "b"),
    ];
    let raised = store.raise_alerts(&group, &[]).await.unwrap();
    assert_eq!(raised[0], RaisedAlert::Relay);
    assert!(matches!(raised[1], RaisedAlert::Publish(_)), "{raised:?}");
    assert!(!matches!(raised[2], RaisedAlert::Publish(_)), "{raised:?}");
    for user_id in ["GEN-001", "GEN-002"] {
        assert_eq!(relayed(store, &user(user_id)).await.len(), 1);
        assert_eq!(verify_audit(store, &audit_keys(), user_id, &[]).await.unwrap(), 1);
    }
}

async fn alert_on_behalf_of_a_session_is_raised_alone(store: &dyn Store) {
    // The receipt's session is checked under the user's lock.
    let of_session = AlertRequest::new(alert("GEN-001", "a"), receipt("a"));
    let raised = store
        .raise_alerts(&[of_session, alert_request("GEN-002", "b")], &[])
        .await
        .unwrap();
    assert_eq!(raised[0], RaisedAlert::Alone);
    assert!(names(store, "GEN-001").await.is_empty());
    assert_eq!(names(store, "GEN-002").await, ["b"]);
}

async fn group_past_its_earliest_deadline_commits_nothing(store: &dyn Store) {
    let late = AlertRequest::new(alert("GEN-002", "b"), late_receipt("b"));
    let raised = store.raise_alerts(&[alert_request("GEN-001", "a"), late], &[]).await;
    assert!(matches!(raised, Err(StoreError::TooLate(_))), "{raised:?}");
    assert!(names(store, "GEN-001").await.is_empty());
}
