//! Contract of the task queue.

use std::time::Duration;

use protocol::account::AccountType;
use store::{Link, PlatformCapacity, RevokeScope, Store, Task, Unlink};
use testkit::wait;

use crate::sample::{capacities, link, receipt, renewable, tokens, unlink, worker};

super::kept_by_both_stores!(
    task_is_leased_to_one_worker_and_removed_when_finished,
    failed_task_is_leased_again_when_due,
    worker_with_a_lost_lease_changes_nothing,
    expired_lease_is_valid_until_another_worker_leases_the_task,
    task_is_given_up_after_its_eighth_try,
    task_is_given_up_when_its_eighth_lease_expires,
    leased_tasks_are_limited_by_capacity,
    many_tasks_of_one_platform_do_not_block_another,
    next_worker_finds_the_replaced_tokens,
    only_the_lease_holder_replaces_tokens,
);

const LONG: Duration = Duration::from_secs(3_600);

/// Leases all due tasks for a long time.
pub(super) async fn leased_tasks(store: &dyn Store) -> Vec<Task> {
    let mut tasks = store.lease_tasks(&worker("w"), &capacities(100), LONG).await.unwrap();
    tasks.sort_by_key(|task| task.id.row);
    tasks
}

/// Queues revocations, each of another user.
async fn queue(store: &dyn Store, tasks: usize) {
    for number in 0..tasks {
        let (user, id) = (format!("GEN-{number}"), number.to_string());
        store
            .link_account(&link(&user, &id), &receipt(&format!("link {id}")))
            .await
            .unwrap();
        store
            .unlink_account(&unlink(&user), &receipt(&format!("unlink {id}")))
            .await
            .unwrap();
    }
}

async fn lease_one(store: &dyn Store, for_long: Duration) -> Option<Task> {
    store
        .lease_tasks(&worker("w"), &capacities(1), for_long)
        .await
        .unwrap()
        .pop()
}

async fn task_is_leased_to_one_worker_and_removed_when_finished(store: &dyn Store) {
    queue(store, 1).await;
    let task = lease_one(store, LONG).await.unwrap();
    assert!(lease_one(store, LONG).await.is_none());
    assert!(store.finish_task(&task.id).await.unwrap());
    assert!(!store.finish_task(&task.id).await.unwrap());
    assert!(!store.retry_task(&task.id, Duration::ZERO, "why").await.unwrap());
    assert!(lease_one(store, LONG).await.is_none());
}

async fn failed_task_is_leased_again_when_due(store: &dyn Store) {
    queue(store, 1).await;
    let first = lease_one(store, LONG).await.unwrap();
    assert!(
        store
            .retry_task(&first.id, Duration::ZERO, "it was \0 away")
            .await
            .unwrap()
    );
    let second = lease_one(store, LONG).await.unwrap();
    assert_eq!((first.tries, second.tries), (0, 1));
    assert_eq!(first.revocation, second.revocation);
    assert!(store.retry_task(&second.id, LONG, "it was away").await.unwrap());
    assert!(lease_one(store, LONG).await.is_none());
}

async fn worker_with_a_lost_lease_changes_nothing(store: &dyn Store) {
    queue(store, 1).await;
    let lost = lease_one(store, Duration::ZERO).await.unwrap();
    let current = wait::until("the lease to expire", wait::deadline(), async || {
        lease_one(store, LONG).await
    })
    .await;
    assert!(!store.finish_task(&lost.id).await.unwrap());
    assert!(!store.retry_task(&lost.id, Duration::ZERO, "why").await.unwrap());
    assert!(lease_one(store, LONG).await.is_none());
    assert!(store.finish_task(&current.id).await.unwrap());
}

async fn expired_lease_is_valid_until_another_worker_leases_the_task(store: &dyn Store) {
    queue(store, 1).await;
    let expired = lease_one(store, Duration::ZERO).await.unwrap();
    assert!(store.finish_task(&expired.id).await.unwrap());
    assert!(lease_one(store, LONG).await.is_none());
}

async fn task_is_given_up_after_its_eighth_try(store: &dyn Store) {
    queue(store, 1).await;
    for tries in 0..8 {
        let task = lease_one(store, LONG).await.unwrap();
        assert_eq!(task.tries, tries);
        assert_eq!(store.dead_tasks().await.unwrap(), 0);
        assert!(store.retry_task(&task.id, Duration::ZERO, "it was away").await.unwrap());
    }
    assert!(lease_one(store, LONG).await.is_none());
    assert_eq!(store.dead_tasks().await.unwrap(), 1);
}

async fn task_is_given_up_when_its_eighth_lease_expires(store: &dyn Store) {
    queue(store, 1).await;
    for tries in 0..8 {
        let lost = wait::until("the lease to expire", wait::deadline(), async || {
            lease_one(store, Duration::ZERO).await
        });
        assert_eq!(lost.await.tries, tries);
    }
    queue_is_empty(store).await;
}

/// Leases until a later task appears: any task due before it would have appeared by then.
async fn queue_is_empty(store: &dyn Store) {
    let (link, unlink) = (link("GEN-last", "last"), unlink("GEN-last"));
    store.link_account(&link, &receipt("link last")).await.unwrap();
    store.unlink_account(&unlink, &receipt("unlink last")).await.unwrap();
    let tasks = wait::until("the last task", wait::deadline(), async || {
        Some(leased_tasks(store).await).filter(|tasks| !tasks.is_empty())
    });
    let users: Vec<_> = tasks.await.iter().map(|task| task.user.to_string()).collect();
    assert_eq!(users, ["GEN-last"]);
}

async fn leased_tasks_are_limited_by_capacity(store: &dyn Store) {
    queue(store, 5).await;
    let leased_tasks = async |max| {
        store
            .lease_tasks(&worker("w"), &capacities(max), LONG)
            .await
            .unwrap()
            .len()
    };
    assert_eq!(leased_tasks(0).await, 0);
    assert_eq!(leased_tasks(2).await, 2);
    assert_eq!(leased_tasks(9).await, 3);
}

async fn many_tasks_of_one_platform_do_not_block_another(store: &dyn Store) {
    queue(store, 5).await;
    let mut of_discord = link("GEN-discord", "9");
    of_discord.account.account_type = AccountType::Discord;
    store.link_account(&of_discord, &receipt("link")).await.unwrap();
    let unlinked = Unlink {
        account: AccountType::Discord,
        ..unlink("GEN-discord")
    };
    store.unlink_account(&unlinked, &receipt("unlink")).await.unwrap();
    let capacity = |platform, permits| PlatformCapacity { platform, permits };
    let capacities = [capacity(AccountType::Github, 2), capacity(AccountType::Discord, 2)];
    let leased = store.lease_tasks(&worker("w"), &capacities, LONG).await.unwrap();
    let mut users: Vec<_> = leased.iter().map(|task| task.user.as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, ["GEN-0", "GEN-1", "GEN-discord"]);
}

async fn next_worker_finds_the_replaced_tokens(store: &dyn Store) {
    let whole = Link {
        tokens: Some(renewable("7")),
        ..link("GEN-0", "7")
    };
    store.link_account(&whole, &receipt("link")).await.unwrap();
    store
        .unlink_account(&unlink("GEN-0"), &receipt("unlink"))
        .await
        .unwrap();
    let first = lease_one(store, Duration::ZERO).await.unwrap();
    assert_eq!(first.revocation.tokens, renewable("7"));
    let kept = store.replace_task_tokens(&first.id, &tokens("left")).await.unwrap();
    assert_eq!(kept, Some(RevokeScope::Grant));
    // The worker dies here.
    let second = wait::until("the lease to expire", wait::deadline(), async || {
        lease_one(store, LONG).await
    });
    assert_eq!(second.await.revocation.tokens, tokens("left"));
}

async fn only_the_lease_holder_replaces_tokens(store: &dyn Store) {
    queue(store, 1).await;
    let lost = lease_one(store, Duration::ZERO).await.unwrap();
    let current = wait::until("the lease to expire", wait::deadline(), async || {
        lease_one(store, LONG).await
    })
    .await;
    assert_eq!(
        store.replace_task_tokens(&lost.id, &tokens("late")).await.unwrap(),
        None
    );
    // Another user links the same account in the meantime.
    store
        .link_account(&link("GEN-2", "0"), &receipt("theirs"))
        .await
        .unwrap();
    let kept = store.replace_task_tokens(&current.id, &tokens("left")).await.unwrap();
    assert_eq!(kept, Some(RevokeScope::Token));
    assert!(store.finish_task(&current.id).await.unwrap());
    assert_eq!(
        store.replace_task_tokens(&current.id, &tokens("left")).await.unwrap(),
        None
    );
}
