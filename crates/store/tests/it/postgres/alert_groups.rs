//! Groups of alerts and their conflicts with other transactions.

use std::time::Duration;

use store::{AlertRequest, Alerts, PgStore, RaisedAlert, StoreError, verify_audit};
use testkit::wait;
use tokio::time::timeout;

use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::database::{migrated, store};
use crate::sample::{alert_request, audit_keys};

#[tokio::test]
async fn alert_that_cannot_be_stored_fails_its_group_and_then_alone() {
    let schema = migrated().await;
    let store = store(&schema).await;
    schema
        .sql("ALTER TABLE alerts ADD CHECK (message NOT LIKE '%poison%')")
        .await;
    let group = ["a", "poison", "b"].map(|name| alert_request(&format!("GEN {name}"), name));
    let raised = store.raise_alerts(&group, &[]).await;
    assert!(matches!(raised, Err(StoreError::Broken { .. })), "{raised:?}");
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["0"]);
    for request in &group {
        let raised = store.raise_alert(request.alert(), request.receipt()).await;
        assert_eq!(raised.is_err(), request.alert().alert_id.as_str() == "poison");
    }
    assert_eq!(schema.sql("SELECT event_id FROM outbox ORDER BY id").await, ["a", "b"]);
}

#[tokio::test]
async fn user_whose_lock_is_taken_delays_no_other_alert_of_the_group() {
    let schema = migrated().await;
    let store = store(&schema).await;
    schema.sql(RELEASABLE).await;
    schema.sql("INSERT INTO users (user_id) VALUES ('locked')").await;
    let keep = format!(
        "UPDATE users SET access_epoch = access_epoch WHERE user_id = 'locked'; DO $$BEGIN {WAIT_FOR_RELEASE} END$$"
    );
    let kept = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{}.users'::regclass AND mode = 'RowExclusiveLock'",
        schema.name()
    );
    let meanwhile = async {
        wait::until_true("the lock", wait::deadline(), async || schema.sql(&kept).await == ["1"]).await;
        let group = [alert_request("locked", "a"), alert_request("free", "b")];
        let raised = timeout(Duration::from_secs(30), store.raise_alerts(&group, &[])).await;
        schema.sql(RELEASE).await;
        raised.unwrap().unwrap()
    };
    let (_, raised) = tokio::join!(schema.sql(&keep), meanwhile);
    assert_eq!(raised[0], RaisedAlert::Alone);
    assert!(matches!(raised[1], RaisedAlert::Publish(_)), "{raised:?}");
    assert_eq!(schema.sql("SELECT event_id FROM outbox").await, ["b"]);
}

#[tokio::test]
async fn concurrent_groups_of_two_workers_raise_each_alert_once_and_fork_no_chain() {
    let schema = migrated().await;
    let (one, other) = (store(&schema).await, store(&schema).await);
    let raise = async |store: &PgStore, group: &[AlertRequest]| {
        let raised = store.raise_alerts(group, &[]).await.unwrap();
        for (request, raised) in group.iter().zip(raised) {
            if raised == RaisedAlert::Alone {
                store.raise_alert(request.alert(), request.receipt()).await.unwrap();
            }
        }
    };
    for round in 0..10 {
        // Both know the users of the rounds before, and insert the others.
        let users: Vec<_> = (0..=round).map(|user| format!("GEN-{user}")).collect();
        let group = |worker: &str| {
            let requests = users
                .iter()
                .map(|user| alert_request(user, &format!("{worker} {round} {user}")));
            requests.collect::<Vec<_>>()
        };
        let (first, mut second) = (group("one"), group("other"));
        second.reverse();
        tokio::join!(raise(&one, &first), raise(&other, &second));
    }
    assert_eq!(schema.sql("SELECT count(*) FROM alerts").await, ["110"]);
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["110"]);
    for user in 0..10 {
        let rows = verify_audit(&one, &audit_keys(), &format!("GEN-{user}"), &[]).await;
        assert_eq!(rows.unwrap(), 2 * (10 - user));
    }
}
