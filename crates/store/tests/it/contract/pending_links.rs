//! Contract of pending links: confirmed once, or revoked.

use std::time::Duration;

use protocol::account::AccountType;
use store::{
    Link, LinkOutcome, PendingLink, PendingLinkId, PendingLinkOutcome, Revocation, RevokeAll, RevokeAllRecord,
    RevokeScope, Store,
};

use super::queue::leased_tasks;
use crate::recorder::relayed;
use crate::sample::{encrypted, late_receipt, link, pending_link, receipt, subject, tokens, unlink, user};

super::kept_by_both_stores!(
    pending_link_is_found_only_by_its_user_and_id,
    pending_link_is_linked_once,
    refused_pending_link_is_removed_and_revoked_once,
    late_confirmation_keeps_the_pending_link,
    unconfirmed_link_is_revoked_when_it_expires,
    expired_pending_link_cannot_be_confirmed,
    link_started_before_revocation_of_all_access_is_not_stored_as_pending,
    pending_links_are_revoked_with_all_access,
    repeated_pending_link_returns_its_first_answer,
    pending_link_keeps_its_grant_when_another_link_of_the_account_ends,
    link_keeps_its_grant_when_a_pending_link_of_the_account_ends,
    results_of_pending_links_are_audited,
);

/// Link that results from a confirmation.
fn confirmed(pending_link: &PendingLink) -> Link {
    Link {
        pending_link: Some(pending_link.id),
        ..link(pending_link.user.as_str(), &pending_link.account.platform_user_id)
    }
}

async fn add(store: &dyn Store, pending_link: &PendingLink) {
    let receipt = receipt(&format!("park {:?}", pending_link.id));
    assert_eq!(
        store.add_pending_link(pending_link, &receipt).await.unwrap(),
        PendingLinkOutcome::Pending
    );
}

async fn revocations(store: &dyn Store) -> Vec<Revocation> {
    leased_tasks(store)
        .await
        .into_iter()
        .map(|task| task.revocation)
        .collect()
}

async fn revoke_all(store: &dyn Store, confirmation: u8) {
    let all = RevokeAll {
        user: user("GEN-001"),
        confirmation: [confirmation; 32],
        record: &|_accounts| RevokeAllRecord {
            events: Vec::new(),
            receipt: receipt(&format!("revoke all {confirmation}")),
        },
    };
    store.revoke_all(&all).await.unwrap();
}

async fn pending_link_is_found_only_by_its_user_and_id(store: &dyn Store) {
    let mut waiting = pending_link("GEN-001", "7", 1);
    waiting.tokens.as_mut().unwrap().refresh = Some(encrypted("refresh of 7"));
    add(store, &waiting).await;

    let found = store.pending_link(&waiting.user, &waiting.id).await.unwrap().unwrap();
    assert_eq!(
        (&found.tokens, &found.session, found.access_epoch, found.lifetime),
        (&waiting.tokens, &waiting.session, 0, waiting.lifetime)
    );
    assert_eq!(
        (&found.account.username, &found.account.display_name),
        (&waiting.account.username, &waiting.account.display_name)
    );
    assert_eq!(found.account.scopes, waiting.account.scopes);
    let other = store
        .pending_link(&waiting.user, &PendingLinkId([2; 32]))
        .await
        .unwrap();
    let foreign = store.pending_link(&user("GEN-002"), &waiting.id).await.unwrap();
    assert_eq!((other, foreign), (None, None));
    assert!(store.accounts(&waiting.user).await.unwrap().is_empty());
}

async fn pending_link_is_linked_once(store: &dyn Store) {
    let waiting = pending_link("GEN-001", "7", 1);
    add(store, &waiting).await;
    let foreign = Link {
        user: user("GEN-002"),
        ..confirmed(&waiting)
    };
    let met = store.link_account(&foreign, &receipt("foreign")).await.unwrap();
    assert_eq!(met, LinkOutcome::NotPending);

    let met = store
        .link_account(&confirmed(&waiting), &receipt("first"))
        .await
        .unwrap();
    assert_eq!(met, LinkOutcome::Linked);
    let met = store
        .link_account(&confirmed(&waiting), &receipt("again"))
        .await
        .unwrap();
    assert_eq!(met, LinkOutcome::NotPending);
    assert_eq!(store.pending_link(&waiting.user, &waiting.id).await.unwrap(), None);
    assert_eq!(store.accounts(&waiting.user).await.unwrap().len(), 1);
    assert_eq!(relayed(store, &waiting.user).await, ["GEN-001 linked 7"]);
    assert!(leased_tasks(store).await.is_empty());
}

async fn refused_pending_link_is_removed_and_revoked_once(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "8"), &receipt("other"))
        .await
        .unwrap();
    let waiting = pending_link("GEN-001", "7", 1);
    add(store, &waiting).await;
    let met = store.link_account(&confirmed(&waiting), &receipt("1")).await.unwrap();
    assert_eq!(met, LinkOutcome::AlreadyConnected);
    let met = store.link_account(&confirmed(&waiting), &receipt("2")).await.unwrap();
    assert_eq!(met, LinkOutcome::NotPending);
    let [revocation] = revocations(store).await.try_into().unwrap();
    assert_eq!(revocation.tokens, waiting.tokens.unwrap());
}

async fn late_confirmation_keeps_the_pending_link(store: &dyn Store) {
    let waiting = pending_link("GEN-001", "7", 1);
    add(store, &waiting).await;
    let late = store.link_account(&confirmed(&waiting), &late_receipt("late")).await;
    late.unwrap_err();
    assert!(leased_tasks(store).await.is_empty());
    let met = store
        .link_account(&confirmed(&waiting), &receipt("again"))
        .await
        .unwrap();
    assert_eq!(met, LinkOutcome::Linked);
}

async fn unconfirmed_link_is_revoked_when_it_expires(store: &dyn Store) {
    let lasting = pending_link("GEN-001", "7", 1);
    let expired = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-002", "8", 2)
    };
    add(store, &lasting).await;
    add(store, &expired).await;
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
    assert!(!store.expire_pending_link(&receipt("end")).await.unwrap());

    let [revocation] = revocations(store).await.try_into().unwrap();
    assert_eq!(
        (revocation.tokens, revocation.scope),
        (expired.tokens.unwrap(), RevokeScope::Grant)
    );
    assert!(store.pending_link(&lasting.user, &lasting.id).await.unwrap().is_some());
}

async fn expired_pending_link_cannot_be_confirmed(store: &dyn Store) {
    let expired = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    add(store, &expired).await;
    assert_eq!(store.pending_link(&expired.user, &expired.id).await.unwrap(), None);
    let met = store.link_account(&confirmed(&expired), &receipt("1")).await.unwrap();
    assert_eq!(met, LinkOutcome::NotPending);
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
}

async fn link_started_before_revocation_of_all_access_is_not_stored_as_pending(store: &dyn Store) {
    revoke_all(store, 1).await;
    let started_before = pending_link("GEN-001", "7", 1);
    let met = store.add_pending_link(&started_before, &receipt("park")).await.unwrap();
    assert_eq!(met, PendingLinkOutcome::EpochMoved);
    let found = store
        .pending_link(&started_before.user, &started_before.id)
        .await
        .unwrap();
    assert_eq!(found, None);
    let [revocation] = revocations(store).await.try_into().unwrap();
    assert_eq!(revocation.tokens, started_before.tokens.unwrap());
}

async fn pending_links_are_revoked_with_all_access(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    for (name, id) in [(1, "7"), (2, "8"), (3, "8")] {
        add(store, &pending_link("GEN-001", id, name)).await;
    }
    let foreign = pending_link("GEN-002", "9", 4);
    add(store, &foreign).await;
    revoke_all(store, 1).await;

    for name in [1, 2, 3] {
        let mut late = pending_link("GEN-001", "8", name);
        late.access_epoch = 1;
        let met = store.link_account(&confirmed(&late), &receipt("late")).await.unwrap();
        assert_eq!(met, LinkOutcome::NotPending);
    }
    let revoked = revocations(store).await;
    assert_eq!(revoked.len(), 4);
    assert!(revoked.iter().all(|it| it.scope == RevokeScope::Grant), "{revoked:?}");
    assert!(store.pending_link(&foreign.user, &foreign.id).await.unwrap().is_some());
}

async fn repeated_pending_link_returns_its_first_answer(store: &dyn Store) {
    add(store, &pending_link("GEN-001", "7", 1)).await;
    let again = receipt(&format!("park {:?}", PendingLinkId([1; 32])));
    let met = store
        .add_pending_link(&pending_link("GEN-001", "7", 2), &again)
        .await
        .unwrap();
    assert_eq!(met, PendingLinkOutcome::Repeated(again.answer));
    let second = store
        .pending_link(&user("GEN-001"), &PendingLinkId([2; 32]))
        .await
        .unwrap();
    assert_eq!(second, None);
}

async fn pending_link_keeps_its_grant_when_another_link_of_the_account_ends(store: &dyn Store) {
    let goes = async |user: &str| {
        store.link_account(&link(user, "7"), &receipt(user)).await.unwrap();
        let receipt = receipt(&format!("{user} goes"));
        store.unlink_account(&unlink(user), &receipt).await.unwrap();
    };
    // A revocation queued before the pending link, and one queued after.
    goes("GEN-001").await;
    add(store, &pending_link("GEN-003", "7", 1)).await;
    let [before] = revocations(store).await.try_into().unwrap();
    goes("GEN-002").await;
    let [after] = revocations(store).await.try_into().unwrap();
    assert_eq!((before.scope, after.scope), (RevokeScope::Token, RevokeScope::Token));
}

async fn link_keeps_its_grant_when_a_pending_link_of_the_account_ends(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    let expired = PendingLink {
        tokens: Some(tokens("another grant")),
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    add(store, &expired).await;
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
    let [revocation] = revocations(store).await.try_into().unwrap();
    assert_eq!(
        (revocation.account, revocation.scope, revocation.tokens),
        (AccountType::Github, RevokeScope::Token, expired.tokens.unwrap())
    );
}

async fn results_of_pending_links_are_audited(store: &dyn Store) {
    let expired = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    add(store, &expired).await;
    store.expire_pending_link(&receipt("end")).await.unwrap();
    add(store, &pending_link("GEN-001", "8", 2)).await;
    revoke_all(store, 1).await;
    store
        .add_pending_link(&pending_link("GEN-001", "9", 3), &receipt("late"))
        .await
        .unwrap();

    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    assert_eq!(rows[1].session, "the session that asked");
    let record: Vec<_> = rows
        .iter()
        .map(|row| [row.action.clone(), subject(row), row.result.clone()])
        .collect();
    assert_eq!(
        record,
        [
            ["link_pending", "github 7", "ok"],
            ["link_refused", "github 7", "confirmation_invalid"],
            ["link_pending", "github 8", "ok"],
            ["link_refused", "github 8", "conflict"],
            ["access_revoked", "0 accounts", "ok"],
            ["link_refused", "github 9", "conflict"],
        ]
    );
}
