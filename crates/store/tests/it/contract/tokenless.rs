//! Contract of accounts without tokens.

use std::time::Duration;

use protocol::account::AccountType;
use store::vault::Ciphertext;
use store::{
    EncryptedColumn, EncryptedColumns, EncryptedTokens, FinishedSync, LeasedSync, Link, LinkOutcome, RevokeAll,
    RevokeAllOutcome, RevokeAllRecord, Store, StoreError, UnlinkOutcome,
};

use super::queue::leased_tasks;
use super::syncs::taken;
use crate::recorder::relayed;
use crate::sample::{capacities, late_receipt, link, link_without_tokens, receipt, sync, tokens, unlink, user};

super::kept_by_both_stores!(
    account_without_tokens_is_linked_and_synced,
    unlink_without_tokens_queues_no_revocation,
    refused_link_without_tokens_queues_no_revocation,
    relinked_account_may_lose_or_gain_tokens,
    key_rotation_skips_accounts_without_tokens,
);

async fn stored_tokens(store: &dyn Store, user_id: &str) -> Option<EncryptedTokens> {
    let credentials = store.credentials(&user(user_id), AccountType::Github).await.unwrap();
    credentials.unwrap().tokens
}

async fn account_without_tokens_is_linked_and_synced(store: &dyn Store) {
    let link = link_without_tokens("GEN-001", "7");
    let linked = store.link_account(&link, &receipt("1")).await.unwrap();
    assert_eq!(linked, LinkOutcome::Linked);
    let LeasedSync { lease, found, .. } = taken(store).await;
    assert_eq!((found.account, found.tokens), (link.account, None));
    // A link without tokens can be synced on command but is never due.
    let synced = FinishedSync {
        next_sync: Duration::ZERO,
        ..sync(&lease, "7", &["event"])
    };
    store.finish_sync(&synced, Some(&receipt("2"))).await.unwrap();
    let due = store.lease_due_syncs(&capacities(10), Duration::ZERO).await;
    assert!(due.unwrap().is_empty());
    assert_eq!(stored_tokens(store, "GEN-001").await, None);
    assert_eq!(relayed(store, &link.user).await, ["GEN-001 linked 7", "event"]);
}

async fn unlink_without_tokens_queues_no_revocation(store: &dyn Store) {
    let link = link_without_tokens("GEN-001", "7");
    store.link_account(&link, &receipt("1")).await.unwrap();
    let unlinked = store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    assert_eq!(unlinked, UnlinkOutcome::Unlinked);

    store.link_account(&link, &receipt("3")).await.unwrap();
    let record = |_: &[AccountType]| RevokeAllRecord {
        events: Vec::new(),
        receipt: receipt("4"),
    };
    let all = RevokeAll {
        user: user("GEN-001"),
        confirmation: [1; 32],
        record: &record,
    };
    assert_eq!(store.revoke_all(&all).await.unwrap(), RevokeAllOutcome::Revoked(1));
    assert!(store.accounts(&link.user).await.unwrap().is_empty());
    assert!(leased_tasks(store).await.is_empty());
}

async fn refused_link_without_tokens_queues_no_revocation(store: &dyn Store) {
    let first = link_without_tokens("GEN-001", "7");
    store.link_account(&first, &receipt("1")).await.unwrap();
    let other = link_without_tokens("GEN-001", "8");
    let refused = store.link_account(&other, &receipt("2")).await.unwrap();
    assert_eq!(refused, LinkOutcome::AlreadyConnected);
    let stale = Link {
        access_epoch: -1,
        ..first.clone()
    };
    let refused = store.link_account(&stale, &receipt("3")).await.unwrap();
    assert_eq!(refused, LinkOutcome::EpochMoved);
    let late = store.link_account(&first, &late_receipt("4")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert!(leased_tasks(store).await.is_empty());
}

async fn relinked_account_may_lose_or_gain_tokens(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let without = link_without_tokens("GEN-001", "7");
    store.link_account(&without, &receipt("2")).await.unwrap();
    assert_eq!(stored_tokens(store, "GEN-001").await, None);
    store.link_account(&link("GEN-001", "7"), &receipt("3")).await.unwrap();
    assert_eq!(stored_tokens(store, "GEN-001").await, Some(tokens("7")));
}

async fn key_rotation_skips_accounts_without_tokens(store: &(impl Store + EncryptedColumns)) {
    let without = link_without_tokens("GEN-001", "7");
    store.link_account(&without, &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-002", "8"), &receipt("2")).await.unwrap();
    let found = store
        .texts_under_other_keys(EncryptedColumn::AccountAccess, "new", None, 9)
        .await
        .unwrap();
    let found: Vec<Ciphertext> = found.into_iter().map(|text| text.encrypted).collect();
    assert_eq!(found, [tokens("8").access]);
}
