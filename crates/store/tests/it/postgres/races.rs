//! Concurrent workers: two stores, as in two processes.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use protocol::account::AccountType;
use protocol::id::UserId;
use store::{
    Accounts, Deliveries, Delivery, DeliveryOutcome, Link, LinkOutcome, Outbox, PgStore, RevokeScope, StoreError,
    TaskQueue,
};
use testkit::wait;

use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::database;
use crate::recorder::{Recorder, relayed};
use crate::sample::{capacities, encrypted, event, link, receipt, refused, unlink, user, worker};

async fn two_stores() -> (testkit::postgres::Schema, PgStore, PgStore) {
    let schema = database::migrated().await;
    let one = database::store(&schema).await;
    let other = database::store(&schema).await;
    (schema, one, other)
}

#[tokio::test]
async fn job_of_two_concurrent_workers_is_committed_once() {
    let (schema, one, other) = two_stores().await;
    for round in 0..20 {
        let (user_id, job) = (format!("GEN-{round}"), format!("job {round}"));
        let (link, receipt) = (link(&user_id, "7"), receipt(&job));
        let (first, second) = tokio::join!(one.link_account(&link, &receipt), other.link_account(&link, &receipt));
        let mut outcomes = [first.unwrap(), second.unwrap()];
        outcomes.sort_by_key(|outcome| *outcome != LinkOutcome::Linked);
        let answer = encrypted(&format!("answer to {job}"));
        assert_eq!(outcomes, [LinkOutcome::Linked, LinkOutcome::Repeated(answer)]);
    }
    assert_eq!(schema.sql("SELECT count(*) FROM outbox").await, ["20"]);
}

/// Transactions of two users do not share a head row; the answer's unique key stops the second.
#[tokio::test]
async fn job_of_two_concurrent_users_is_committed_once() {
    let (schema, one, other) = two_stores().await;
    for round in 0..20 {
        let job = format!("job {round}");
        let (link_a, link_b) = (link(&format!("A-{round}"), "7"), link(&format!("B-{round}"), "8"));
        let receipt = receipt(&job);
        let (first, second) = tokio::join!(
            one.link_account(&link_a, &receipt),
            other.link_account(&link_b, &receipt)
        );
        let linked = [first.unwrap(), second.unwrap()];
        let count = linked.iter().filter(|outcome| **outcome == LinkOutcome::Linked).count();
        assert_eq!(count, 1, "{linked:?}");
    }
    assert_eq!(schema.sql("SELECT count(*) FROM accounts").await, ["20"]);
}

#[tokio::test]
async fn one_of_two_concurrent_links_is_stored() {
    let (schema, one, other) = two_stores().await;
    for round in 0..20 {
        let user_id = format!("GEN-{round}");
        // For a new user the insertion of the head row would already serialize both.
        one.refuse_link(&refused(&user_id), &receipt(&user_id)).await.unwrap();
        let (link_a, link_b) = (link(&user_id, "7"), link(&user_id, "8"));
        let (receipt_a, receipt_b) = (receipt(&format!("{round} a")), receipt(&format!("{round} b")));
        let (first, second) = tokio::join!(
            one.link_account(&link_a, &receipt_a),
            other.link_account(&link_b, &receipt_b)
        );
        let mut outcomes = [first.unwrap(), second.unwrap()];
        outcomes.sort_by_key(|outcome| *outcome != LinkOutcome::Linked);
        assert_eq!(outcomes, [LinkOutcome::Linked, LinkOutcome::AlreadyConnected]);
    }
    assert_eq!(schema.sql("SELECT count(*) FROM tasks").await, ["20"]);
}

#[tokio::test]
async fn relays_of_two_workers_keep_one_users_sequence_and_publish_once() {
    let (_schema, one, other) = two_stores().await;
    let names: Vec<_> = (0..300).map(|number| format!("event {number:03}")).collect();
    let link = Link {
        events: names.iter().map(|name| event(name)).collect(),
        ..link("GEN-001", "7")
    };
    one.link_account(&link, &receipt("1")).await.unwrap();
    let recorder = Recorder::new();
    let relays = [&one, &other, &one, &other].map(|store| store.relay_user(&link.user, &recorder));
    for relayed in join_all(relays).await {
        assert!(!relayed.unwrap().stopped);
    }
    assert_eq!(recorder.ids(), names);
}

/// Each page of either may come between two pages of the other.
#[tokio::test]
async fn restores_of_two_workers_keep_one_users_sequence() {
    let (_schema, one, other) = two_stores().await;
    let names: Vec<_> = (0..300).map(|number| format!("event {number:03}")).collect();
    let link = Link {
        events: names.iter().map(|name| event(name)).collect(),
        ..link("GEN-001", "7")
    };
    one.link_account(&link, &receipt("1")).await.unwrap();
    let recorder = Recorder::new();
    one.relay_user(&link.user, &recorder).await.unwrap();
    recorder.lose(Some(150));
    let (relayed, restored) = tokio::join!(
        one.relay_user(&link.user, &recorder),
        other.restore_user(&link.user, &recorder)
    );
    assert!(!relayed.unwrap().stopped && !restored.unwrap().stopped);
    assert_eq!(recorder.ids(), names);
    assert!(!recorder.is_unrestored());
}

#[tokio::test]
async fn task_is_never_leased_to_two_workers() {
    let (_schema, one, other) = two_stores().await;
    for number in 0..30 {
        let (user_id, id) = (format!("GEN-{number}"), number.to_string());
        one.link_account(&link(&user_id, &id), &receipt(&format!("link {id}")))
            .await
            .unwrap();
        one.unlink_account(&unlink(&user_id), &receipt(&format!("unlink {id}")))
            .await
            .unwrap();
    }
    let leases = [&one, &other].into_iter().cycle().take(12).map(async |store| {
        let leased = store
            .lease_tasks(&worker("w"), &capacities(3), Duration::from_secs(60))
            .await;
        leased.unwrap()
    });
    let leased = join_all(leases).await.concat();
    let rows: HashSet<_> = leased.iter().map(|task| task.id.row).collect();
    assert_eq!((leased.len(), rows.len()), (30, 30));
}

/// Locks serialize both in either sequence: the grant is not ended while the other link exists.
#[tokio::test]
async fn concurrent_link_and_unlink_of_one_platform_account_are_serialized() {
    let (schema, one, other) = two_stores().await;
    for round in 0..20 {
        let (leaving, coming) = (format!("A-{round}"), format!("B-{round}"));
        let id = round.to_string();
        one.link_account(&link(&leaving, &id), &receipt(&format!("{leaving} links")))
            .await
            .unwrap();
        let (unlink, link) = (unlink(&leaving), link(&coming, &id));
        let (unlink_receipt, link_receipt) = (
            receipt(&format!("{leaving} leaves")),
            receipt(&format!("{coming} links")),
        );
        let (unlinked, linked) = tokio::join!(
            one.unlink_account(&unlink, &unlink_receipt),
            other.link_account(&link, &link_receipt)
        );
        unlinked.unwrap();
        assert_eq!(linked.unwrap(), LinkOutcome::Linked);
    }
    let scopes = schema.sql("SELECT DISTINCT scope FROM tasks").await;
    assert_eq!(scopes, [RevokeScope::Token.as_str()]);
}

#[tokio::test]
async fn events_of_one_user_are_published_in_commit_sequence() {
    let (_schema, one, other) = two_stores().await;
    let links: Vec<_> = (0..20)
        .map(|number| Link {
            events: vec![
                event(&format!("first of {number}")),
                event(&format!("second of {number}")),
            ],
            ..link("GEN-001", "7")
        })
        .collect();
    let recorder = Recorder::new();
    let commits = links.iter().enumerate().map(async |(number, link)| {
        let store = if number % 2 == 0 { &one } else { &other };
        store.link_account(link, &receipt(&number.to_string())).await.unwrap();
        // Committed events are published, by this relay or a faster one.
        store.relay_user(&link.user, &recorder).await.unwrap();
        assert!(recorder.ids().contains(&format!("second of {number}")));
    });
    join_all(commits).await;
    let ids = recorder.ids();
    assert_eq!(ids.len(), 40);
    for pair in ids.chunks(2) {
        assert_eq!(pair[0].replace("first", "second"), pair[1]);
    }
    assert!(relayed(&one, &user("GEN-001")).await.is_empty());
}

/// Head rows are locked in the same sequence, however a delivery lists its addressees.
#[tokio::test]
async fn concurrent_deliveries_do_not_deadlock_and_one_of_two_equal_ones_is_new() {
    let (schema, one, other) = two_stores().await;
    for (user_id, platform_user_id) in [("A", "1"), ("B", "2"), ("C", "3")] {
        let link = link(user_id, platform_user_id);
        one.link_account(&link, &receipt(user_id)).await.unwrap();
    }
    let there = ["1", "2", "3"].map(str::to_owned);
    let back = ["3", "2", "1"].map(str::to_owned);
    for round in 0..20 {
        let events_for = |user: &UserId, _: &str| vec![event(&format!("{user} receives {round}"))];
        let id = format!("d-{round}");
        let delivery = |id, addressees| Delivery {
            platform: AccountType::Github,
            id,
            addressees,
            due: &[],
            events_for: &events_for,
        };
        let (first, second, polled) = tokio::join!(
            async { one.deliver(&delivery(Some(&id), &there)).await.unwrap() },
            async { other.deliver(&delivery(Some(&id), &there)).await.unwrap() },
            async { other.deliver(&delivery(None, &back)).await.unwrap() },
        );
        let repeated = [&first, &second].map(|delivered| *delivered == DeliveryOutcome::Repeated);
        assert!(repeated[0] != repeated[1], "{first:?} {second:?}");
        assert!(matches!(polled, DeliveryOutcome::Delivered(_)));
    }
    assert_eq!(
        schema
            .sql("SELECT count(*) FROM outbox WHERE event_id NOT LIKE '%linked%'")
            .await,
        [(20 * 3).to_string()]
    );
    assert_eq!(schema.sql("SELECT count(*) FROM webhook_deliveries").await, ["20"]);
}

/// Each transaction waits for the head row while its session is being ended, and continues after that commit. A single statement
/// that locks and checks would see the session as it was before the wait.
#[tokio::test]
async fn transaction_that_waited_for_the_end_of_its_session_changes_nothing() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    schema.sql(RELEASABLE).await;
    schema
        .sql("INSERT INTO users (user_id) VALUES ('GEN-001'); \
              INSERT INTO sessions (user_id, session_id, exp_at, address) VALUES ('GEN-001', 'session', now() + '1 h', '')")
        .await;
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    let end = format!(
        "SELECT FROM users WHERE user_id = 'GEN-001' FOR UPDATE; \
         UPDATE sessions SET ended_at = now() WHERE user_id = 'GEN-001'; DO $$BEGIN {WAIT_FOR_RELEASE} END$$"
    );
    let waits = format!(
        "SELECT count(*) FROM pg_locks AS held JOIN pg_stat_activity AS waiting \
         ON held.pid = ANY(pg_blocking_pids(waiting.pid)) \
         WHERE held.relation = '{}.sessions'::regclass AND held.mode = 'RowExclusiveLock'",
        schema.name()
    );
    let ends = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{}.sessions'::regclass AND mode = 'RowExclusiveLock'",
        schema.name()
    );
    let shows =
        async |sql: &str| wait::until_true("the lock", wait::deadline(), async || schema.sql(sql).await == ["1"]).await;
    let (unlink, unlink_receipt) = (unlink("GEN-001"), receipt("unlink"));
    let meanwhile = async {
        shows(&ends).await;
        tokio::join!(store.unlink_account(&unlink, &unlink_receipt), async {
            shows(&waits).await;
            schema.sql(RELEASE).await;
        })
        .0
    };
    let (_, unlinked) = tokio::join!(schema.sql(&end), meanwhile);
    assert!(matches!(unlinked, Err(StoreError::SessionEnded(_))), "{unlinked:?}");
    assert_eq!(schema.sql("SELECT count(*) FROM accounts").await, ["1"]);
}
