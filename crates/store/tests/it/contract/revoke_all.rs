//! Contract of the revocation of all access.

use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use store::{Link, LinkOutcome, Receipt, RevokeAll, RevokeAllOutcome, RevokeAllRecord, RevokeScope, Store, StoreError};

use super::queue::leased_tasks;
use crate::recorder::relayed;
use crate::sample::{account, alert, encrypted, event, late_receipt, link, receipt, tokens, user};

super::kept_by_both_stores!(
    every_account_is_unlinked_and_every_grant_queued_for_revocation,
    another_users_link_of_the_same_account_is_kept,
    earlier_authorizations_are_revoked_and_later_ones_linked,
    confirmation_is_valid_once,
    repeated_revocation_returns_its_first_answer,
    late_revocation_changes_nothing_and_keeps_the_confirmation,
    revocation_without_accounts_succeeds,
);

/// Revokes all access of GEN-001 with an event per account and an alert.
async fn revoke_all(
    store: &dyn Store,
    confirmation: u8,
    receipt: impl Fn(usize) -> Receipt + Send + Sync,
) -> Result<RevokeAllOutcome, StoreError> {
    let record = |accounts: &[AccountType]| {
        let gone = accounts.iter().map(|account| event(&format!("{account} is gone")));
        let alert = Envelope::of_alert(alert("GEN-001", &format!("all {} are gone", accounts.len())));
        RevokeAllRecord {
            events: gone.chain([alert]).collect(),
            receipt: receipt(accounts.len()),
        }
    };
    let all = RevokeAll {
        user: user("GEN-001"),
        confirmation: [confirmation; 32],
        record: &record,
    };
    store.revoke_all(&all).await
}

async fn link_all(store: &dyn Store, user_id: &str) {
    for platform in AccountType::ALL {
        let link = Link {
            account: account(platform, "7"),
            events: Vec::new(),
            ..link(user_id, "7")
        };
        let receipt = receipt(&format!("{user_id} links {platform}"));
        assert_eq!(store.link_account(&link, &receipt).await.unwrap(), LinkOutcome::Linked);
    }
}

async fn every_account_is_unlinked_and_every_grant_queued_for_revocation(store: &dyn Store) {
    link_all(store, "GEN-001").await;
    let revoked = revoke_all(store, 1, |_| receipt("1")).await.unwrap();
    assert_eq!(revoked, RevokeAllOutcome::Revoked(4));
    assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
    assert_eq!(
        relayed(store, &user("GEN-001")).await,
        [
            "discord is gone",
            "github is gone",
            "telegram is gone",
            "x_twitter is gone",
            "all 4 are gone"
        ]
    );
    assert_eq!(store.alerts(&user("GEN-001"), None).await.unwrap().len(), 1);
    let mut revocations: Vec<_> = leased_tasks(store)
        .await
        .into_iter()
        .map(|task| task.revocation)
        .collect();
    revocations.sort_by_key(|revocation| revocation.account.as_str());
    let platforms: Vec<_> = revocations
        .iter()
        .map(|revocation| revocation.account.as_str())
        .collect();
    assert_eq!(platforms, ["discord", "github", "telegram", "x_twitter"]);
    for revocation in revocations {
        assert_eq!((revocation.scope, revocation.tokens), (RevokeScope::Grant, tokens("7")));
    }
}

async fn another_users_link_of_the_same_account_is_kept(store: &dyn Store) {
    link_all(store, "GEN-001").await;
    store
        .link_account(&link("GEN-002", "7"), &receipt("theirs"))
        .await
        .unwrap();
    revoke_all(store, 1, |_| receipt("1")).await.unwrap();
    assert_eq!(store.accounts(&user("GEN-002")).await.unwrap().len(), 1);
    assert_eq!(store.access_epoch(&user("GEN-002")).await.unwrap(), 0);
    for task in leased_tasks(store).await {
        let shared = task.revocation.account == AccountType::Github;
        let scope = if shared { RevokeScope::Token } else { RevokeScope::Grant };
        assert_eq!(task.revocation.scope, scope, "{}", task.revocation.account);
    }
}

async fn earlier_authorizations_are_revoked_and_later_ones_linked(store: &dyn Store) {
    let epoch = async || store.access_epoch(&user("GEN-001")).await.unwrap();
    let before = Link {
        access_epoch: epoch().await,
        ..link("GEN-001", "7")
    };
    revoke_all(store, 1, |_| receipt("1")).await.unwrap();
    let linked = store.link_account(&before, &receipt("2")).await.unwrap();
    assert_eq!(linked, LinkOutcome::EpochMoved);
    assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
    assert_eq!(leased_tasks(store).await.len(), 1);
    let after = Link {
        access_epoch: epoch().await,
        ..before
    };
    let linked = store.link_account(&after, &receipt("3")).await.unwrap();
    assert_eq!(linked, LinkOutcome::Linked);
}

async fn confirmation_is_valid_once(store: &dyn Store) {
    let first = revoke_all(store, 1, |_| receipt("1")).await.unwrap();
    assert_eq!(first, RevokeAllOutcome::Revoked(0));
    link_all(store, "GEN-002").await;
    let again = revoke_all(store, 1, |_| receipt("2")).await.unwrap();
    assert_eq!(again, RevokeAllOutcome::Spent);
    assert_eq!(store.access_epoch(&user("GEN-001")).await.unwrap(), 1);
    // Two concurrent calls: one succeeds.
    let (one, other) = tokio::join!(
        revoke_all(store, 2, |_| receipt("3")),
        revoke_all(store, 2, |_| receipt("4"))
    );
    let mut outcomes = [one.unwrap(), other.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == RevokeAllOutcome::Spent);
    assert_eq!(outcomes, [RevokeAllOutcome::Revoked(0), RevokeAllOutcome::Spent]);
}

async fn repeated_revocation_returns_its_first_answer(store: &dyn Store) {
    link_all(store, "GEN-001").await;
    let answered = |count| Receipt {
        answer: encrypted(&format!("{count} are gone")),
        ..receipt("1")
    };
    revoke_all(store, 1, answered).await.unwrap();
    let again = revoke_all(store, 1, answered).await.unwrap();
    assert_eq!(again, RevokeAllOutcome::Repeated(encrypted("4 are gone")));
    assert_eq!(store.access_epoch(&user("GEN-001")).await.unwrap(), 1);
    assert_eq!(leased_tasks(store).await.len(), 4);
}

async fn late_revocation_changes_nothing_and_keeps_the_confirmation(store: &dyn Store) {
    link_all(store, "GEN-001").await;
    let late = revoke_all(store, 1, |_| late_receipt("1")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert_eq!(store.accounts(&user("GEN-001")).await.unwrap().len(), 4);
    assert!(relayed(store, &user("GEN-001")).await.is_empty());
    assert!(leased_tasks(store).await.is_empty());
    let in_time = revoke_all(store, 1, |_| receipt("2")).await.unwrap();
    assert_eq!(in_time, RevokeAllOutcome::Revoked(4));
}

async fn revocation_without_accounts_succeeds(store: &dyn Store) {
    let revoked = revoke_all(store, 1, |_| receipt("1")).await.unwrap();
    assert_eq!(revoked, RevokeAllOutcome::Revoked(0));
    assert_eq!(relayed(store, &user("GEN-001")).await, ["all 0 are gone"]);
    assert_eq!(store.access_epoch(&user("GEN-001")).await.unwrap(), 1);
}
