//! Contract of links.

use protocol::account::AccountType;
use protocol::time::Timestamp;
use serde_json::json;
use store::{FinishedSync, LeasedSync, Link, LinkOutcome, PreviousAnswer, RevokeScope, Store, StoreError};

use super::queue::leased_tasks;
use super::syncs::taken;
use crate::recorder::relayed;
use crate::sample::{
    actor, encrypted, event, idempotency, job, late_receipt, link, receipt, receipt_with_key, renewable, sync, tokens,
    unlink, user,
};

super::kept_by_both_stores!(
    relinked_account_gets_new_tokens_and_keeps_its_date,
    relinked_account_revokes_only_its_old_tokens,
    other_account_of_the_platform_is_refused_and_its_grant_revoked,
    link_started_before_revocation_of_all_access_is_revoked,
    revocation_does_not_end_a_link_of_the_same_account,
    repeated_link_returns_its_first_answer,
    link_under_a_used_key_returns_the_first_answer,
    job_delivered_twice_concurrently_runs_once,
    link_after_its_deadline_is_revoked,
    new_link_narrows_queued_revocations,
);

async fn relinked_account_gets_new_tokens_and_keeps_its_date(store: &dyn Store) {
    let first = link("GEN-001", "7");
    store.link_account(&first, &receipt("1")).await.unwrap();
    let LeasedSync { lease, found, .. } = taken(store).await;
    let synced = FinishedSync {
        cursor: Some(json!({"since": 5})),
        ..sync(&lease, "7", &[])
    };
    store.finish_sync(&synced, Some(&receipt("2"))).await.unwrap();

    let mut again = Link {
        tokens: Some(tokens("again")),
        events: vec![event("again")],
        ..first.clone()
    };
    again.account.username = "renamed".to_owned();
    again.account.connected_at = Timestamp::from_millis(1_900_000_000_000);
    let stored = store.link_account(&again, &receipt("3")).await.unwrap();
    assert_eq!(stored, LinkOutcome::Linked);

    let after = store
        .credentials(&first.user, AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.account.username, "renamed");
    assert_eq!(after.account.connected_at, first.account.connected_at);
    assert_eq!(after.tokens, Some(tokens("again")));
    assert_eq!(after.cursor, None);
    assert_ne!(after.generation, found.generation);
    assert_eq!(relayed(store, &first.user).await, ["GEN-001 linked 7", "again"]);
}

async fn relinked_account_revokes_only_its_old_tokens(store: &dyn Store) {
    let first = Link {
        tokens: Some(renewable("first")),
        ..link("GEN-001", "7")
    };
    store.link_account(&first, &receipt("1")).await.unwrap();
    for job in ["2", "2"] {
        let again = Link {
            tokens: Some(renewable("again")),
            ..first.clone()
        };
        store.link_account(&again, &receipt(job)).await.unwrap();
    }
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(task.revocation.tokens, renewable("first"));
    assert_eq!(task.revocation.scope, RevokeScope::Token, "the new link lives");
}

async fn other_account_of_the_platform_is_refused_and_its_grant_revoked(store: &dyn Store) {
    let (first, second) = (link("GEN-001", "7"), link("GEN-001", "8"));
    store.link_account(&first, &receipt("1")).await.unwrap();
    let refused = store.link_account(&second, &receipt("2")).await.unwrap();
    assert_eq!(refused, LinkOutcome::AlreadyConnected);

    assert_eq!(store.accounts(&first.user).await.unwrap(), [first.account]);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("2"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert_eq!(relayed(store, &first.user).await, ["GEN-001 linked 7"]);
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(Some(task.revocation), second.revocation);
}

async fn link_started_before_revocation_of_all_access_is_revoked(store: &dyn Store) {
    let late = Link {
        access_epoch: store.access_epoch(&user("GEN-001")).await.unwrap() - 1,
        ..link("GEN-001", "7")
    };
    let refused = store.link_account(&late, &receipt("1")).await.unwrap();
    assert_eq!(refused, LinkOutcome::EpochMoved);
    assert!(store.accounts(&late.user).await.unwrap().is_empty());
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert!(relayed(store, &late.user).await.is_empty());
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(Some(task.revocation), late.revocation);
}

async fn revocation_does_not_end_a_link_of_the_same_account(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-002", "8"), &receipt("2")).await.unwrap();
    let refused = store.link_account(&link("GEN-002", "7"), &receipt("3")).await.unwrap();
    assert_eq!(refused, LinkOutcome::AlreadyConnected);
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(task.revocation.scope, RevokeScope::Token);
}

async fn repeated_link_returns_its_first_answer(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let mut again = receipt("1");
    again.answer = encrypted("another answer");
    let repeated = store.link_account(&link("GEN-001", "8"), &again).await.unwrap();
    assert_eq!(repeated, LinkOutcome::Repeated(encrypted("answer to 1")));
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 linked 7"]);
    assert!(leased_tasks(store).await.is_empty());
}

async fn link_under_a_used_key_returns_the_first_answer(store: &dyn Store) {
    let link = link("GEN-001", "7");
    let first = receipt_with_key("1", &idempotency(1, 1));
    store.link_account(&link, &first).await.unwrap();
    for body in [1, 2] {
        let again = receipt_with_key("2", &idempotency(1, body));
        let repeated = store.link_account(&link, &again).await.unwrap();
        assert_eq!(repeated, LinkOutcome::Repeated(encrypted("answer to 1")));
    }
    assert_eq!(relayed(store, &link.user).await, ["GEN-001 linked 7"]);
}

async fn job_delivered_twice_concurrently_runs_once(store: &dyn Store) {
    let link = link("GEN-001", "7");
    let receipt = receipt("1");
    let (one, other) = tokio::join!(store.link_account(&link, &receipt), store.link_account(&link, &receipt));
    let mut outcomes = [one.unwrap(), other.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome != LinkOutcome::Linked);
    assert_eq!(
        outcomes,
        [LinkOutcome::Linked, LinkOutcome::Repeated(encrypted("answer to 1"))]
    );
    assert_eq!(relayed(store, &link.user).await, ["GEN-001 linked 7"]);
}

async fn link_after_its_deadline_is_revoked(store: &dyn Store) {
    let link = link("GEN-001", "7");
    let late = store.link_account(&link, &late_receipt("1")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert!(store.accounts(&link.user).await.unwrap().is_empty());
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert!(relayed(store, &link.user).await.is_empty());
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(Some(task.revocation), link.revocation);
}

async fn new_link_narrows_queued_revocations(store: &dyn Store) {
    for (id, number) in [("7", 1), ("8", 3)] {
        store
            .link_account(&link("GEN-001", id), &receipt(&number.to_string()))
            .await
            .unwrap();
        let unlinked = receipt(&(number + 1).to_string());
        store.unlink_account(&unlink("GEN-001"), &unlinked).await.unwrap();
    }
    store.link_account(&link("GEN-002", "7"), &receipt("5")).await.unwrap();
    let tasks = leased_tasks(store).await;
    let scopes: Vec<_> = tasks
        .iter()
        .map(|task| (task.revocation.platform_user_id.as_str(), task.revocation.scope))
        .collect();
    assert_eq!(scopes, [("7", RevokeScope::Token), ("8", RevokeScope::Grant)]);
}
