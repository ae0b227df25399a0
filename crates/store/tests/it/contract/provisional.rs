//! Contract of provisional revocations: they run unless their own job stores the link.

use std::time::Duration;

use protocol::account::AccountType;
use store::{
    LinkOutcome, PendingLinkOutcome, RefusedLink, Revocation, RevokeScope, Store, StoreError, Task, WriteOutcome,
};

use super::queue::leased_tasks;
use crate::sample::{job, link, pending_link, receipt, refused, renewable, tokens, user};

super::kept_by_both_stores!(
    provisional_revocation_runs_when_due,
    provisional_revocation_is_queued_once,
    link_withdraws_only_the_revocation_of_its_own_job,
    link_whose_revocation_has_started_is_not_stored,
    pending_link_withdraws_the_revocation_of_its_job,
    pending_link_whose_revocation_has_started_is_not_stored,
    revocation_of_a_refused_link_replaces_its_provisional_revocation,
    known_owner_widens_the_revocation_unless_the_account_is_linked,
);

/// Revocation of what job `name` was issued, with an unknown owner.
fn issued(name: &str) -> Revocation {
    Revocation {
        scope: RevokeScope::Token,
        ..tokens(name).revocation(AccountType::Github, String::new())
    }
}

/// Queues the provisional revocation of job `name`, due at once.
async fn queue(store: &dyn Store, user_id: &str, name: &str) {
    let whose = (&user(user_id), &job(name));
    store
        .queue_provisional_revocation(whose, &issued(name), Duration::ZERO)
        .await
        .unwrap();
}

async fn leased(store: &dyn Store) -> Vec<Revocation> {
    let tasks = leased_tasks(store).await;
    tasks.into_iter().map(|task| task.revocation).collect()
}

async fn provisional_revocation_runs_when_due(store: &dyn Store) {
    let whose = (&user("GEN-001"), &job("later"));
    let after = Duration::from_secs(3_600);
    store
        .queue_provisional_revocation(whose, &issued("later"), after)
        .await
        .unwrap();
    queue(store, "GEN-001", "now").await;
    assert_eq!(leased(store).await, [issued("now")]);
}

async fn provisional_revocation_is_queued_once(store: &dyn Store) {
    queue(store, "GEN-001", "1").await;
    queue(store, "GEN-001", "1").await;
    let [task] = <[Task; 1]>::try_from(leased_tasks(store).await).unwrap();
    assert!(store.finish_task(&task.id).await.unwrap());
}

async fn link_withdraws_only_the_revocation_of_its_own_job(store: &dyn Store) {
    queue(store, "GEN-001", "1").await;
    queue(store, "GEN-001", "2").await;
    let linked = store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    assert_eq!(linked, LinkOutcome::Linked);
    assert_eq!(leased(store).await, [issued("2")]);
}

async fn link_whose_revocation_has_started_is_not_stored(store: &dyn Store) {
    queue(store, "GEN-001", "1").await;
    let [started] = <[Task; 1]>::try_from(leased_tasks(store).await).unwrap();
    let link = link("GEN-001", "7");
    let late = store.link_account(&link, &receipt("1")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert!(store.accounts(&link.user).await.unwrap().is_empty());
    assert!(
        !store.finish_task(&started.id).await.unwrap(),
        "another one has its place"
    );
    assert_eq!(leased(store).await, [link.revocation.unwrap()]);
}

async fn pending_link_withdraws_the_revocation_of_its_job(store: &dyn Store) {
    queue(store, "GEN-001", "1").await;
    let pending_link = pending_link("GEN-001", "7", 1);
    assert_eq!(
        store.add_pending_link(&pending_link, &receipt("1")).await.unwrap(),
        PendingLinkOutcome::Pending
    );
    assert_eq!(leased(store).await, []);
}

async fn pending_link_whose_revocation_has_started_is_not_stored(store: &dyn Store) {
    queue(store, "GEN-001", "1").await;
    assert_eq!(leased_tasks(store).await.len(), 1);
    let pending_link = pending_link("GEN-001", "7", 1);
    let late = store.add_pending_link(&pending_link, &receipt("1")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert_eq!(
        store.pending_link(&pending_link.user, &pending_link.id).await.unwrap(),
        None
    );
}

async fn revocation_of_a_refused_link_replaces_its_provisional_revocation(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("0")).await.unwrap();
    queue(store, "GEN-001", "1").await;
    let other = link("GEN-001", "8");
    let met = store.link_account(&other, &receipt("1")).await.unwrap();
    assert_eq!(met, LinkOutcome::AlreadyConnected);
    queue(store, "GEN-001", "2").await;
    let refused = RefusedLink {
        revocation: Some(renewable("2").revocation(AccountType::Github, "9".to_owned())),
        ..refused("GEN-001")
    };
    assert_eq!(
        store.refuse_link(&refused, &receipt("2")).await.unwrap(),
        WriteOutcome::Committed
    );
    assert_eq!(
        leased(store).await,
        [other.revocation.unwrap(), refused.revocation.unwrap()]
    );
}

async fn known_owner_widens_the_revocation_unless_the_account_is_linked(store: &dyn Store) {
    store.link_account(&link("GEN-002", "7"), &receipt("0")).await.unwrap();
    queue(store, "GEN-001", "1").await;
    let [task] = <[Task; 1]>::try_from(leased_tasks(store).await).unwrap();
    let ended = store.set_task_owner(&task, "8").await.unwrap();
    assert_eq!(ended, Some(RevokeScope::Grant));
    let ended = store.set_task_owner(&task, "7").await.unwrap();
    assert_eq!(ended, Some(RevokeScope::Token), "another user has linked the account");
    assert!(store.retry_task(&task.id, Duration::ZERO, "why").await.unwrap());
    let [again] = <[Task; 1]>::try_from(leased_tasks(store).await).unwrap();
    assert_eq!(again.revocation.platform_user_id, "7");
    assert_eq!(
        store.set_task_owner(&task, "8").await.unwrap(),
        None,
        "another worker has it"
    );
}
