//! Contract of webhooks to the application: queued with their events, leased by one worker at a time, kept after the last try.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::app_webhook::AppWebhookType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::UserId;
use protocol::json::Json;
use protocol::security::Alert;
use serde_json::Value;
use store::{
    APP_WEBHOOK_TRIES, AppWebhook, AppWebhookBacklog, Delivery, EndSessionsRequest, NextTry, PrunedTable,
    RetentionTimes, SessionSelector, Store, StoreError,
};

use super::sessions::Redis;
use crate::pruning::{TIMES, prune_table};
use crate::recorder::relayed;
use crate::sample::{alert, alert_request, event, late_receipt, link, receipt, session, user, worker};

super::kept_by_both_stores!(
    app_webhooks: &protocol::app_webhook::AppWebhookType::ALL;
    webhook_is_queued_with_its_event_and_once,
    transaction_that_is_not_committed_queues_no_webhook,
    notification_and_progress_of_a_sync_queue_no_webhook,
    end_of_a_session_names_the_session,
    alerts_of_a_group_queue_their_webhooks,
    leased_webhook_is_left_to_its_worker_until_its_lease_expires,
    worker_with_a_lost_lease_changes_no_webhook,
    webhook_waits_for_the_first_try_of_the_one_before_and_no_longer,
    webhook_that_was_given_up_delays_no_other,
    webhook_is_given_up_when_its_last_lease_expires,
    webhooks_are_deleted_after_their_retention_and_the_oldest_of_too_many,
);

const LONG: Duration = Duration::from_secs(3_600);

/// Leases all due webhooks.
async fn leased(store: &dyn Store) -> Vec<AppWebhook> {
    store.lease_app_webhooks(&worker("w"), 100, LONG).await.unwrap()
}

async fn raise(store: &dyn Store, user_id: &str, name: &str) {
    let raised = store.raise_alert(&alert(user_id, name), &receipt(name)).await;
    raised.unwrap();
}

fn ids(webhooks: &[AppWebhook]) -> Vec<&str> {
    webhooks.iter().map(|webhook| webhook.event.as_str()).collect()
}

/// Sends all webhooks that are due, and those that are due then; returns the ids of their events.
pub(crate) async fn sent(store: &dyn Store) -> Vec<String> {
    let mut sent = Vec::new();
    loop {
        let webhooks = leased(store).await;
        if webhooks.is_empty() {
            return sent;
        }
        for webhook in webhooks {
            assert!(store.finish_app_webhook(&webhook.id).await.unwrap());
            sent.push(webhook.event.to_string());
        }
    }
}

async fn webhook_is_queued_with_its_event_and_once(store: &dyn Store) {
    raise(store, "GEN-001", "a").await;
    raise(store, "GEN-001", "a").await;
    let webhooks = leased(store).await;
    let [webhook] = &webhooks[..] else {
        panic!("{webhooks:?}");
    };
    assert_eq!((webhook.event.as_str(), webhook.user.as_str()), ("a", "GEN-001"));
    assert_eq!((webhook.kind.as_str(), webhook.tries), ("security.alert", 0));
    assert_eq!(webhook.data.read::<Alert>().unwrap(), alert("GEN-001", "a"));
    assert!(store.finish_app_webhook(&webhook.id).await.unwrap());
    raise(store, "GEN-001", "a").await;
    assert!(leased(store).await.is_empty(), "an accepted webhook was queued again");
    assert_eq!(store.app_webhook_backlog().await.unwrap(), AppWebhookBacklog::default());
}

async fn transaction_that_is_not_committed_queues_no_webhook(store: &dyn Store) {
    let late = store.link_account(&link("GEN-001", "7"), &late_receipt("late")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert!(leased(store).await.is_empty());
}

async fn notification_and_progress_of_a_sync_queue_no_webhook(store: &dyn Store) {
    let mut linked = link("GEN-001", "7");
    let feed = |name: &str| Envelope {
        class: DeliveryClass::Feed,
        ..event(name)
    };
    linked.events = vec![feed("syncing"), event("connected")];
    store.link_account(&linked, &receipt("link")).await.unwrap();
    let updates = |_: &UserId, _: &str| {
        vec![Envelope {
            event: "notification:incoming".to_owned(),
            ..feed("updates")
        }]
    };
    let delivery = Delivery {
        platform: AccountType::Github,
        id: None,
        addressees: &["7".to_owned()],
        due: &[],
        events_for: &updates,
    };
    store.deliver(&delivery).await.unwrap();
    assert_eq!(
        relayed(store, &user("GEN-001")).await,
        ["syncing", "connected", "updates"]
    );
    assert_eq!(sent(store).await, ["connected"]);
}

async fn end_of_a_session_names_the_session(store: &dyn Store) {
    let ended = session();
    let notice = |session: &protocol::id::SessionId| Envelope {
        audience: Audience::Session(session.clone()),
        class: DeliveryClass::Critical,
        event: "security:session_expired".to_owned(),
        data: Json::parse(r#"{"userId":"GEN-001","reason":"ended"}"#.to_owned()).unwrap(),
        ..event("the end")
    };
    let ending = EndSessionsRequest {
        user: user("GEN-001"),
        which: SessionSelector::One(ended.clone()),
        alive: std::slice::from_ref(&ended),
        announcer: &Redis::with(std::slice::from_ref(&ended)),
        notice: &notice,
    };
    let by_system = store::Receipt {
        actor: store::Actor::System(ended.clone()),
        ..receipt("end")
    };
    store.end_sessions(&ending, &|_| by_system.clone()).await.unwrap();
    let webhook = leased(store).await.remove(0);
    assert_eq!(webhook.kind, "security.session_expired");
    let data: Value = webhook.data.read().unwrap();
    assert_eq!(
        (&data["sessionId"], &data["reason"]),
        (&ended.as_str().into(), &"ended".into())
    );
}

async fn alerts_of_a_group_queue_their_webhooks(store: &dyn Store) {
    let group = [
        alert_request("GEN-001", "a"),
        alert_request("GEN-002", "b"),
        alert_request("GEN-001", "c"),
    ];
    store.raise_alerts(&group, &[]).await.unwrap();
    store.raise_alerts(&group, &[]).await.unwrap();
    let first = leased(store).await;
    assert_eq!(ids(&first), ["a", "b"], "`c` waits for `a`");
    for webhook in &first {
        assert!(store.finish_app_webhook(&webhook.id).await.unwrap());
    }
    assert_eq!(sent(store).await, ["c"]);
}

async fn leased_webhook_is_left_to_its_worker_until_its_lease_expires(store: &dyn Store) {
    raise(store, "GEN-001", "a").await;
    raise(store, "GEN-002", "b").await;
    let first = store.lease_app_webhooks(&worker("w"), 1, Duration::ZERO).await.unwrap();
    assert_eq!(ids(&first), ["a"], "the limit holds, and the longest due is first");
    let second = leased(store).await;
    assert_eq!(ids(&second), ["a", "b"]);
    assert_eq!(second[0].tries, 1, "the id of the event is the same, for the receiver");
    assert!(leased(store).await.is_empty());
}

async fn worker_with_a_lost_lease_changes_no_webhook(store: &dyn Store) {
    raise(store, "GEN-001", "a").await;
    let lost = store.lease_app_webhooks(&worker("w"), 1, Duration::ZERO).await.unwrap();
    let holder = leased(store).await.remove(0);
    assert!(!store.finish_app_webhook(&lost[0].id).await.unwrap());
    let next = NextTry::After(Duration::ZERO);
    assert!(!store.retry_app_webhook(&lost[0].id, next, "late").await.unwrap());
    assert!(leased(store).await.is_empty());
    assert!(store.finish_app_webhook(&holder.id).await.unwrap());
    assert!(!store.finish_app_webhook(&holder.id).await.unwrap());
}

async fn webhook_waits_for_the_first_try_of_the_one_before_and_no_longer(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        raise(store, "GEN-001", name).await;
    }
    raise(store, "GEN-002", "d").await;
    let first = leased(store).await;
    assert_eq!(ids(&first), ["a", "d"], "other users do not wait");
    let next = NextTry::After(LONG);
    assert!(store.retry_app_webhook(&first[0].id, next, "status 500").await.unwrap());
    assert_eq!(sent(store).await, ["b", "c"]);
    raise(store, "GEN-001", "e").await;
    assert_eq!(
        sent(store).await,
        ["e"],
        "a webhook that waits for its second try holds up none"
    );
    assert_eq!(store.app_webhook_backlog().await.unwrap().waiting, 2);
}

async fn webhook_that_was_given_up_delays_no_other(store: &dyn Store) {
    raise(store, "GEN-001", "a").await;
    raise(store, "GEN-001", "b").await;
    let first = leased(store).await.remove(0);
    assert!(
        store
            .retry_app_webhook(&first.id, NextTry::Never, "status 410")
            .await
            .unwrap()
    );
    raise(store, "GEN-001", "c").await;
    assert_eq!(sent(store).await, ["b", "c"]);
    let backlog = store.app_webhook_backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.oldest, backlog.dead), (0, Duration::ZERO, 1));
    assert!(!store.finish_app_webhook(&first.id).await.unwrap());
}

async fn webhook_is_given_up_when_its_last_lease_expires(store: &dyn Store) {
    raise(store, "GEN-001", "a").await;
    for tries in 0..APP_WEBHOOK_TRIES {
        let leased = store.lease_app_webhooks(&worker("w"), 1, Duration::ZERO).await.unwrap();
        assert_eq!(leased[0].tries, tries);
    }
    assert!(leased(store).await.is_empty());
    let backlog = store.app_webhook_backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.dead), (0, 1));
}

async fn webhooks_are_deleted_after_their_retention_and_the_oldest_of_too_many(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        raise(store, name, name).await;
    }
    let prune = async |times: &RetentionTimes| prune_table(store, PrunedTable::AppWebhooks, times).await;
    assert_eq!(prune(&TIMES).await, 0);
    let two = RetentionTimes {
        max_app_webhooks: 2,
        ..TIMES
    };
    assert_eq!(prune(&two).await, 1);
    assert_eq!(ids(&leased(store).await), ["b", "c"]);
    let at_once = RetentionTimes {
        dead_tasks: Duration::ZERO,
        ..TIMES
    };
    assert_eq!(prune(&at_once).await, 2, "delivered or not");
}

/// Every type but the one that is left out.
#[tokio::test]
async fn store_queues_no_webhook_of_a_type_that_is_left_out() {
    let clock = std::sync::Arc::new(lifecycle::SystemClock);
    let others = AppWebhookType::ALL
        .into_iter()
        .filter(|kind| *kind != AppWebhookType::SecurityAlert);
    let store = store::MemoryStore::new(clock, crate::sample::audit_keys());
    let store: &dyn Store = &store.queueing_app_webhooks(&others.collect::<Vec<_>>());
    raise(store, "GEN-001", "a").await;
    assert!(leased(store).await.is_empty());
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    assert_eq!(sent(store).await, ["GEN-001 linked 7"]);
}
