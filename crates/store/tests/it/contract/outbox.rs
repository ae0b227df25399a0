//! Contract of the outbox.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use protocol::trace::TraceParent;
use store::{Link, OutboxBacklog, Store};
use testkit::wait;

use crate::recorder::{Recorder, relayed};
use crate::sample::{event, link, receipt, user};

super::kept_by_both_stores!(
    events_are_published_unchanged_and_in_sequence,
    event_has_the_trace_context_of_the_transaction_that_queued_it,
    refusal_stops_the_relay_and_keeps_the_sequence,
    concurrent_relays_of_one_user_publish_each_event_once_in_sequence,
    relay_publishes_only_its_users_events,
    user_with_unsent_events_is_found_after_a_second,
    users_with_recent_events_are_listed_page_by_page,
    events_from_before_a_loss_are_published_again_before_newer_ones,
    restore_publishes_recent_events_again_and_only_once,
    loss_during_a_restore_starts_it_again,
    refused_restore_is_repeated_by_the_next_relay,
    concurrent_relays_after_a_loss_keep_the_sequence,
    backlog_has_the_unsent_events_and_the_age_of_the_oldest,
);

/// Commits events for a user in several transactions and returns their ids.
async fn commit(store: &dyn Store, user_id: &str, events: usize) -> Vec<String> {
    let names: Vec<_> = (0..events).map(|number| format!("{user_id} {number:03}")).collect();
    for (number, part) in names.chunks(90).enumerate() {
        let link = Link {
            events: part.iter().map(|name| event(name)).collect(),
            ..link(user_id, "7")
        };
        store
            .link_account(&link, &receipt(&format!("{user_id} {number}")))
            .await
            .unwrap();
    }
    names
}

async fn events_are_published_unchanged_and_in_sequence(store: &dyn Store) {
    let names = commit(store, "GEN-001", 250).await;
    let recorder = Recorder::new();
    let relayed = store.relay_user(&user("GEN-001"), &recorder).await.unwrap();
    assert_eq!((relayed.sent, relayed.stopped), (250, false));
    let written: Vec<_> = names.iter().map(|name| event(name)).collect();
    assert_eq!(recorder.taken(), written);
}

async fn event_has_the_trace_context_of_the_transaction_that_queued_it(store: &dyn Store) {
    let sampled = |trace: u128, span: u64| {
        let (trace, span) = (TraceId::from(trace), SpanId::from(span));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    };
    commit(store, "GEN-001", 1).with_context(sampled(7, 11)).await;
    commit(store, "GEN-002", 1).await;
    let published = async |id| {
        let (user, recorder) = (user(id), Recorder::new());
        // The relay runs in a trace of its own, which is not that of the event.
        let relayed = store.relay_user(&user, &recorder).with_context(sampled(9, 13));
        relayed.await.unwrap();
        recorder.taken().remove(0).traceparent
    };
    assert_eq!(published("GEN-001").await, TraceParent::of_span(7, 11, true));
    assert_eq!(published("GEN-002").await, None);
}

async fn refusal_stops_the_relay_and_keeps_the_sequence(store: &dyn Store) {
    let names = commit(store, "GEN-001", 5).await;
    let refusing = Recorder::refusing_after(2);
    let stopped = store.relay_user(&user("GEN-001"), &refusing).await.unwrap();
    assert_eq!((stopped.sent, stopped.stopped), (2, true));
    assert_eq!(refusing.ids(), names[..2]);
    assert_eq!(relayed(store, &user("GEN-001")).await, names[2..]);
}

async fn concurrent_relays_of_one_user_publish_each_event_once_in_sequence(store: &dyn Store) {
    let names = commit(store, "GEN-001", 150).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    let (one, other) = tokio::join!(store.relay_user(&user, &recorder), store.relay_user(&user, &recorder));
    assert_eq!(one.unwrap().sent + other.unwrap().sent, 150);
    assert_eq!(recorder.ids(), names);
}

async fn relay_publishes_only_its_users_events(store: &dyn Store) {
    let ours = commit(store, "GEN-001", 2).await;
    let theirs = commit(store, "GEN-002", 2).await;
    assert_eq!(relayed(store, &user("GEN-001")).await, ours);
    assert_eq!(relayed(store, &user("GEN-002")).await, theirs);
    assert!(relayed(store, &user("GEN-001")).await.is_empty());
}

async fn user_with_unsent_events_is_found_after_a_second(store: &dyn Store) {
    let behind = async |limit| store.users_with_unsent_events(limit).await.unwrap();
    let committed = tokio::time::Instant::now();
    commit(store, "GEN-001", 2).await;
    commit(store, "GEN-002", 2).await;
    relayed(store, &user("GEN-002")).await;
    wait::until_true("the user to be behind", wait::deadline(), async || {
        !behind(9).await.is_empty()
    })
    .await;
    assert!(committed.elapsed() >= Duration::from_secs(1));
    assert_eq!(behind(9).await, [user("GEN-001")]);
    assert!(behind(0).await.is_empty());
    relayed(store, &user("GEN-001")).await;
    assert!(behind(9).await.is_empty());
}

async fn users_with_recent_events_are_listed_page_by_page(store: &dyn Store) {
    for id in ["GEN-001", "GEN-002", "GEN-003"] {
        commit(store, id, 2).await;
    }
    let listed = async |after: Option<&str>, limit| {
        let after = after.map(user);
        store.users_with_recent_events(after.as_ref(), limit).await.unwrap()
    };
    assert!(listed(None, 9).await.is_empty(), "nothing was sent");
    for id in ["GEN-001", "GEN-003"] {
        relayed(store, &user(id)).await;
    }
    assert_eq!(listed(None, 9).await, [user("GEN-001"), user("GEN-003")]);
    assert_eq!(listed(None, 1).await, [user("GEN-001")]);
    assert_eq!(listed(Some("GEN-001"), 9).await, [user("GEN-003")]);
    assert!(listed(Some("GEN-003"), 9).await.is_empty());
}

/// More than a page of old and of new events.
async fn events_from_before_a_loss_are_published_again_before_newer_ones(store: &dyn Store) {
    let names = commit(store, "GEN-001", 250).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    store.relay_user(&user, &recorder).await.unwrap();
    let newer = link_again(store, 150).await;
    assert_eq!(recorder.lose(None), names);
    let relayed = store.relay_user(&user, &recorder).await.unwrap();
    assert_eq!((relayed.sent, relayed.resent, relayed.stopped), (150, 250, false));
    assert_eq!(recorder.ids(), [names, newer].concat());
    assert!(!recorder.is_unrestored());
}

async fn restore_publishes_recent_events_again_and_only_once(store: &dyn Store) {
    let names = commit(store, "GEN-001", 3).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    store.relay_user(&user, &recorder).await.unwrap();
    recorder.lose(None);
    let restored = store.restore_user(&user, &recorder).await.unwrap();
    assert_eq!((restored.sent, restored.resent, restored.stopped), (0, 3, false));
    assert_eq!(recorder.ids(), names);
    let again = store.restore_user(&user, &recorder).await.unwrap();
    assert_eq!((again.sent, again.resent, again.stopped), (0, 0, false));
}

async fn loss_during_a_restore_starts_it_again(store: &dyn Store) {
    let names = commit(store, "GEN-001", 150).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    store.relay_user(&user, &recorder).await.unwrap();
    // In the second page of the restore.
    recorder.lose(Some(120));
    let restored = store.restore_user(&user, &recorder).await.unwrap();
    assert_eq!((restored.resent, restored.stopped), (120 + 150, false));
    assert_eq!(recorder.ids(), names);
    assert!(!recorder.is_unrestored());
}

async fn refused_restore_is_repeated_by_the_next_relay(store: &dyn Store) {
    let names = commit(store, "GEN-001", 150).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    store.relay_user(&user, &recorder).await.unwrap();
    let newer = link_again(store, 1).await;
    let refusing = Recorder::refusing_after(120);
    refusing.lose(None);
    let stopped = store.relay_user(&user, &refusing).await.unwrap();
    assert_eq!((stopped.resent, stopped.stopped), (120, true));
    assert!(refusing.is_unrestored());
    recorder.lose(None);
    store.relay_user(&user, &recorder).await.unwrap();
    assert_eq!(recorder.ids(), [names, newer].concat());
}

async fn concurrent_relays_after_a_loss_keep_the_sequence(store: &dyn Store) {
    let names = commit(store, "GEN-001", 250).await;
    let (user, recorder) = (user("GEN-001"), Recorder::new());
    store.relay_user(&user, &recorder).await.unwrap();
    let newer = link_again(store, 50).await;
    recorder.lose(None);
    let (one, other, restored) = tokio::join!(
        store.relay_user(&user, &recorder),
        store.relay_user(&user, &recorder),
        store.restore_user(&user, &recorder),
    );
    assert_eq!(
        [one, other, restored]
            .map(|relayed| relayed.unwrap().sent)
            .iter()
            .sum::<u64>(),
        50
    );
    assert_eq!(recorder.ids(), [names, newer].concat());
}

/// Commits further events for the user of [`commit`] and returns their ids.
async fn link_again(store: &dyn Store, events: usize) -> Vec<String> {
    let names: Vec<_> = (0..events).map(|number| format!("newer {number:03}")).collect();
    let link = Link {
        events: names.iter().map(|name| event(name)).collect(),
        ..link("GEN-001", "7")
    };
    store.link_account(&link, &receipt("newer")).await.unwrap();
    names
}

async fn backlog_has_the_unsent_events_and_the_age_of_the_oldest(store: &dyn Store) {
    let backlog = async || store.outbox_backlog().await.unwrap();
    assert_eq!(backlog().await, OutboxBacklog::default());
    commit(store, "GEN-001", 2).await;
    commit(store, "GEN-002", 1).await;
    let first = backlog().await;
    assert_eq!(first.events, 3);
    wait::until_true("the oldest event to age", wait::deadline(), async || {
        backlog().await.oldest > first.oldest
    })
    .await;
    relayed(store, &user("GEN-001")).await;
    assert_eq!(backlog().await.events, 1);
    relayed(store, &user("GEN-002")).await;
    assert_eq!(backlog().await, OutboxBacklog::default());
}
