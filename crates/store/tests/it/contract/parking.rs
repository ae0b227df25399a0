//! Parked links: confirmed once, or given back.

use std::time::Duration;

use protocol::account::AccountType;
use store::{
    Link, LinkOutcome, PendingLink, PendingLinkId, PendingLinkOutcome, Revocation, RevokeAll, RevokeAllRecord,
    RevokeScope, Store,
};

use super::queue::leased_tasks;
use crate::recorder::relayed;
use crate::sample::{encrypted, late_receipt, link, pending_link, receipt, tokens, unlink, user};

super::kept_by_both_stores!(
    a_parked_link_is_found_by_its_user_and_its_name_alone,
    a_parked_link_is_linked_once_and_is_parked_no_more,
    a_parked_link_that_is_refused_is_parked_no_more_and_given_back_once,
    a_confirmation_that_comes_too_late_leaves_the_link_parked,
    a_link_that_nobody_confirms_is_given_back_when_its_time_is_over,
    nobody_confirms_a_link_whose_time_is_over,
    a_link_begun_before_all_access_was_revoked_is_not_parked_and_given_back,
    all_that_is_parked_is_given_back_when_all_access_is_revoked,
    a_parking_repeated_gives_its_first_answer,
    a_parked_link_keeps_its_grant_when_another_link_of_the_account_ends,
    a_link_keeps_its_grant_when_a_parked_link_of_the_account_ends,
    what_becomes_of_a_parked_link_is_told,
);

/// The link that this one becomes when it is confirmed.
fn confirmed(pending_link: &PendingLink) -> Link {
    Link {
        pending_link: Some(pending_link.id),
        ..link(pending_link.user.as_str(), &pending_link.account.platform_user_id)
    }
}

async fn park(store: &dyn Store, pending_link: &PendingLink) {
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

async fn a_parked_link_is_found_by_its_user_and_its_name_alone(store: &dyn Store) {
    let mut waiting = pending_link("GEN-001", "7", 1);
    waiting.tokens.as_mut().unwrap().refresh = Some(encrypted("refresh of 7"));
    park(store, &waiting).await;

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

async fn a_parked_link_is_linked_once_and_is_parked_no_more(store: &dyn Store) {
    let waiting = pending_link("GEN-001", "7", 1);
    park(store, &waiting).await;
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

async fn a_parked_link_that_is_refused_is_parked_no_more_and_given_back_once(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "8"), &receipt("other"))
        .await
        .unwrap();
    let waiting = pending_link("GEN-001", "7", 1);
    park(store, &waiting).await;
    let met = store.link_account(&confirmed(&waiting), &receipt("1")).await.unwrap();
    assert_eq!(met, LinkOutcome::AlreadyConnected);
    let met = store.link_account(&confirmed(&waiting), &receipt("2")).await.unwrap();
    assert_eq!(met, LinkOutcome::NotPending);
    let [given_back] = revocations(store).await.try_into().unwrap();
    assert_eq!(given_back.tokens, waiting.tokens.unwrap());
}

async fn a_confirmation_that_comes_too_late_leaves_the_link_parked(store: &dyn Store) {
    let waiting = pending_link("GEN-001", "7", 1);
    park(store, &waiting).await;
    let late = store.link_account(&confirmed(&waiting), &late_receipt("late")).await;
    late.unwrap_err();
    assert!(leased_tasks(store).await.is_empty());
    let met = store
        .link_account(&confirmed(&waiting), &receipt("again"))
        .await
        .unwrap();
    assert_eq!(met, LinkOutcome::Linked);
}

async fn a_link_that_nobody_confirms_is_given_back_when_its_time_is_over(store: &dyn Store) {
    let lasting = pending_link("GEN-001", "7", 1);
    let over = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-002", "8", 2)
    };
    park(store, &lasting).await;
    park(store, &over).await;
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
    assert!(!store.expire_pending_link(&receipt("end")).await.unwrap());

    let [given_back] = revocations(store).await.try_into().unwrap();
    assert_eq!(
        (given_back.tokens, given_back.scope),
        (over.tokens.unwrap(), RevokeScope::Grant)
    );
    assert!(store.pending_link(&lasting.user, &lasting.id).await.unwrap().is_some());
}

async fn nobody_confirms_a_link_whose_time_is_over(store: &dyn Store) {
    let over = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    park(store, &over).await;
    assert_eq!(store.pending_link(&over.user, &over.id).await.unwrap(), None);
    let met = store.link_account(&confirmed(&over), &receipt("1")).await.unwrap();
    assert_eq!(met, LinkOutcome::NotPending);
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
}

async fn a_link_begun_before_all_access_was_revoked_is_not_parked_and_given_back(store: &dyn Store) {
    revoke_all(store, 1).await;
    let begun_before = pending_link("GEN-001", "7", 1);
    let met = store.add_pending_link(&begun_before, &receipt("park")).await.unwrap();
    assert_eq!(met, PendingLinkOutcome::EpochMoved);
    let found = store.pending_link(&begun_before.user, &begun_before.id).await.unwrap();
    assert_eq!(found, None);
    let [given_back] = revocations(store).await.try_into().unwrap();
    assert_eq!(given_back.tokens, begun_before.tokens.unwrap());
}

async fn all_that_is_parked_is_given_back_when_all_access_is_revoked(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    for (name, id) in [(1, "7"), (2, "8"), (3, "8")] {
        park(store, &pending_link("GEN-001", id, name)).await;
    }
    let foreign = pending_link("GEN-002", "9", 4);
    park(store, &foreign).await;
    revoke_all(store, 1).await;

    for name in [1, 2, 3] {
        let mut late = pending_link("GEN-001", "8", name);
        late.access_epoch = 1;
        let met = store.link_account(&confirmed(&late), &receipt("late")).await.unwrap();
        assert_eq!(met, LinkOutcome::NotPending);
    }
    let given_back = revocations(store).await;
    assert_eq!(given_back.len(), 4);
    assert!(
        given_back.iter().all(|it| it.scope == RevokeScope::Grant),
        "{given_back:?}"
    );
    assert!(store.pending_link(&foreign.user, &foreign.id).await.unwrap().is_some());
}

async fn a_parking_repeated_gives_its_first_answer(store: &dyn Store) {
    park(store, &pending_link("GEN-001", "7", 1)).await;
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

async fn a_parked_link_keeps_its_grant_when_another_link_of_the_account_ends(store: &dyn Store) {
    let goes = async |user: &str| {
        store.link_account(&link(user, "7"), &receipt(user)).await.unwrap();
        let receipt = receipt(&format!("{user} goes"));
        store.unlink_account(&unlink(user), &receipt).await.unwrap();
    };
    // What is still to be revoked when it is parked, and what ends after.
    goes("GEN-001").await;
    park(store, &pending_link("GEN-003", "7", 1)).await;
    let [before] = revocations(store).await.try_into().unwrap();
    goes("GEN-002").await;
    let [after] = revocations(store).await.try_into().unwrap();
    assert_eq!((before.scope, after.scope), (RevokeScope::Token, RevokeScope::Token));
}

async fn a_link_keeps_its_grant_when_a_parked_link_of_the_account_ends(store: &dyn Store) {
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    let over = PendingLink {
        tokens: Some(tokens("another grant")),
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    park(store, &over).await;
    assert!(store.expire_pending_link(&receipt("end")).await.unwrap());
    let [given_back] = revocations(store).await.try_into().unwrap();
    assert_eq!(
        (given_back.account, given_back.scope, given_back.tokens),
        (AccountType::Github, RevokeScope::Token, over.tokens.unwrap())
    );
}

async fn what_becomes_of_a_parked_link_is_told(store: &dyn Store) {
    let over = PendingLink {
        lifetime: Duration::ZERO,
        ..pending_link("GEN-001", "7", 1)
    };
    park(store, &over).await;
    store.expire_pending_link(&receipt("end")).await.unwrap();
    park(store, &pending_link("GEN-001", "8", 2)).await;
    revoke_all(store, 1).await;
    store
        .add_pending_link(&pending_link("GEN-001", "9", 3), &receipt("late"))
        .await
        .unwrap();

    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    assert_eq!(rows[1].session, "the session that asked");
    let record: Vec<_> = rows
        .iter()
        .map(|row| [row.action.as_str(), row.subject.as_str(), row.result.as_str()])
        .collect();
    assert_eq!(
        record,
        [
            ["link_parked", "github 7", "ok"],
            ["link_refused", "github 7", "confirmation_invalid"],
            ["link_parked", "github 8", "ok"],
            ["link_refused", "github 8", "conflict"],
            ["access_revoked", "0 accounts", "ok"],
            ["link_refused", "github 9", "conflict"],
        ]
    );
}
