//! Contract of sync leases and schedules.

use std::time::Duration;

use protocol::account::AccountType;
use store::{
    FinishedSync, LeasedSync, Link, Pause, PauseScope, PlatformCapacity, Store, SyncLeaseOutcome, SyncOutcome,
};
use testkit::wait;

use super::syncs::taken;
use crate::sample::{account, event, link, receipt, session, sync, user};

super::kept_by_both_stores!(
    new_link_is_not_due_yet,
    lease_is_exclusive_until_its_sync_is_finished,
    due_account_is_leased_once_per_due_time,
    leased_syncs_are_limited_by_capacity,
    expired_lease_is_taken_by_another_worker_and_fences_the_first,
    expired_lease_is_valid_until_another_worker_takes_it,
    failures_are_counted_until_the_account_is_relinked,
    paused_account_is_not_leased,
    paused_platform_is_not_leased_and_others_are,
    pause_is_neither_shortened_nor_ended_by_a_new_link,
    pause_applies_even_with_a_lost_lease,
    unlinked_account_is_not_leased,
);

const LONG: Duration = Duration::from_secs(3_600);

async fn link_to(store: &dyn Store, name: &str, platform: AccountType) {
    let link = Link {
        account: account(platform, "7"),
        ..link(name, "7")
    };
    let job = format!("link {name} {platform}");
    store.link_account(&link, &receipt(&job)).await.unwrap();
}

/// Finishes a sync; the account is due again after `next_sync`.
async fn ended(store: &dyn Store, taken: &LeasedSync, next_sync: Duration) {
    let sync = FinishedSync {
        next_sync,
        ..sync(&taken.lease, "7", &[])
    };
    assert_eq!(store.finish_sync(&sync, None).await.unwrap(), SyncOutcome::Stored);
}

/// Links GitHub accounts that are due at once.
async fn link_due(store: &dyn Store, users: &[&str]) {
    for name in users {
        link_to(store, name, AccountType::Github).await;
        let SyncLeaseOutcome::Leased(taken) = take(store, name).await else {
            panic!("the turn is free");
        };
        ended(store, &taken, Duration::ZERO).await;
    }
}

async fn take(store: &dyn Store, name: &str) -> SyncLeaseOutcome {
    store
        .lease_sync((&user(name), &session()), AccountType::Github, LONG)
        .await
        .unwrap()
}

async fn take_due(store: &dyn Store, max: usize, ttl: Duration) -> Vec<LeasedSync> {
    let due = store
        .lease_due_syncs(
            &[PlatformCapacity {
                platform: AccountType::Github,
                permits: max,
            }],
            ttl,
        )
        .await
        .unwrap();
    assert!(due.len() <= max);
    due
}

async fn new_link_is_not_due_yet(store: &dyn Store) {
    link_to(store, "GEN-001", AccountType::Github).await;
    assert!(take_due(store, 10, LONG).await.is_empty());
}

async fn lease_is_exclusive_until_its_sync_is_finished(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let mine = taken(store).await;
    assert!(matches!(take(store, "GEN-001").await, SyncLeaseOutcome::Busy));
    assert!(take_due(store, 10, LONG).await.is_empty());
    ended(store, &mine, LONG).await;
    let next = taken(store).await;
    assert!(next.lease.fence > mine.lease.fence);
    assert_eq!(next.found.generation, mine.found.generation);
}

async fn due_account_is_leased_once_per_due_time(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let due = take_due(store, 10, LONG).await;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].found.account.platform_user_id, "7");
    assert!(due[0].late < LONG);
    assert!(take_due(store, 10, LONG).await.is_empty());
    ended(store, &due[0], LONG).await;
    assert!(take_due(store, 10, LONG).await.is_empty());

    ended(store, &taken(store).await, Duration::from_millis(50)).await;
    let again = async || !take_due(store, 10, LONG).await.is_empty();
    wait::until_true("the account to be due again", wait::deadline(), again).await;
}

async fn leased_syncs_are_limited_by_capacity(store: &dyn Store) {
    link_due(store, &["GEN-001", "GEN-002", "GEN-003"]).await;
    let others = store
        .lease_due_syncs(
            &[PlatformCapacity {
                platform: AccountType::Discord,
                permits: 10,
            }],
            LONG,
        )
        .await
        .unwrap();
    assert!(others.is_empty());
    let first = take_due(store, 2, LONG).await;
    let mut users: Vec<_> = first.into_iter().map(|taken| taken.lease.user).collect();
    users.extend(take_due(store, 2, LONG).await.into_iter().map(|taken| taken.lease.user));
    users.sort();
    assert_eq!(users, ["GEN-001", "GEN-002", "GEN-003"].map(user));
}

async fn expired_lease_is_taken_by_another_worker_and_fences_the_first(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let lost = take_due(store, 1, Duration::from_millis(1)).await.remove(0);
    let next = async || take_due(store, 1, LONG).await.pop();
    let next = wait::until("another to have the turn", wait::deadline(), next).await;
    assert!(!store.renew_sync_lease(&lost.lease, LONG).await.unwrap());
    assert!(store.renew_sync_lease(&next.lease, LONG).await.unwrap());
    store
        .begin_sync(&lost.lease, &session(), &event("stale"))
        .await
        .unwrap();
    let mut stale = sync(&lost.lease, "7", &["stale event"]);
    stale.account.username = "stale".to_owned();
    assert_eq!(
        store.finish_sync(&stale, Some(&receipt("1"))).await.unwrap(),
        SyncOutcome::Superseded
    );
    ended(store, &next, LONG).await;
    assert_eq!(store.accounts(&user("GEN-001")).await.unwrap()[0].username, "name of 7");
    let events = crate::recorder::relayed(store, &user("GEN-001")).await;
    assert_eq!(events, ["GEN-001 linked 7"]);
}

async fn expired_lease_is_valid_until_another_worker_takes_it(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let mine = take_due(store, 1, Duration::ZERO).await.remove(0);
    assert!(store.renew_sync_lease(&mine.lease, Duration::ZERO).await.unwrap());
    ended(store, &mine, LONG).await;
}

async fn failures_are_counted_until_the_account_is_relinked(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let mine = taken(store).await;
    assert_eq!(mine.failures, 0);
    let failed = FinishedSync {
        failures: 3,
        ..sync(&mine.lease, "7", &[])
    };
    store.finish_sync(&failed, None).await.unwrap();
    assert_eq!(taken(store).await.failures, 3);
    link_to(store, "GEN-001", AccountType::Github).await;
    store
        .link_account(&link("GEN-001", "7"), &receipt("again"))
        .await
        .unwrap();
    assert_eq!(taken(store).await.failures, 0);
}

/// Finishes a sync with this pause; the account is due at once.
async fn throttled(store: &dyn Store, taken: &LeasedSync, scope: PauseScope, wait: Duration) -> SyncOutcome {
    let throttled = FinishedSync {
        pause: Some(Pause { wait, scope }),
        next_sync: Duration::ZERO,
        ..sync(&taken.lease, "7", &[])
    };
    store.finish_sync(&throttled, None).await.unwrap()
}

fn assert_paused(taking: &SyncLeaseOutcome, at_least: Duration) {
    let SyncLeaseOutcome::Paused(left) = taking else {
        panic!("{taking:?}");
    };
    assert!(*left > at_least && *left <= LONG, "{left:?}");
}

async fn paused_account_is_not_leased(store: &dyn Store) {
    link_due(store, &["GEN-001", "GEN-002"]).await;
    let mine = taken(store).await;
    throttled(store, &mine, PauseScope::Account, LONG).await;
    assert_paused(&take(store, "GEN-001").await, LONG / 2);
    let due = take_due(store, 10, LONG).await;
    let users: Vec<_> = due.iter().map(|taken| taken.lease.user.as_str()).collect();
    assert_eq!(users, ["GEN-002"]);
}

async fn paused_platform_is_not_leased_and_others_are(store: &dyn Store) {
    link_due(store, &["GEN-001", "GEN-002"]).await;
    link_to(store, "GEN-001", AccountType::Discord).await;
    throttled(store, &taken(store).await, PauseScope::Platform, LONG).await;
    assert!(take_due(store, 10, LONG).await.is_empty());
    for name in ["GEN-001", "GEN-002"] {
        assert_paused(&take(store, name).await, LONG / 2);
    }
    let discord = store
        .lease_sync((&user("GEN-001"), &session()), AccountType::Discord, LONG)
        .await;
    assert!(matches!(discord.unwrap(), SyncLeaseOutcome::Leased(_)));
}

async fn pause_is_neither_shortened_nor_ended_by_a_new_link(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let mine = taken(store).await;
    throttled(store, &mine, PauseScope::Account, LONG).await;
    throttled(store, &mine, PauseScope::Account, Duration::from_secs(1)).await;
    assert_paused(&take(store, "GEN-001").await, LONG / 2);
    store
        .link_account(&link("GEN-001", "7"), &receipt("again"))
        .await
        .unwrap();
    assert_paused(&take(store, "GEN-001").await, LONG / 2);
}

async fn pause_applies_even_with_a_lost_lease(store: &dyn Store) {
    link_due(store, &["GEN-001"]).await;
    let lost = take_due(store, 1, Duration::ZERO).await.remove(0);
    let next = taken(store).await;
    let written = throttled(store, &lost, PauseScope::Account, LONG).await;
    assert_eq!(written, SyncOutcome::Superseded);
    ended(store, &next, Duration::ZERO).await;
    assert_paused(&take(store, "GEN-001").await, LONG / 2);
    assert!(take_due(store, 10, LONG).await.is_empty());
}

async fn unlinked_account_is_not_leased(store: &dyn Store) {
    assert!(matches!(take(store, "GEN-404").await, SyncLeaseOutcome::NotConnected));
    link_to(store, "GEN-001", AccountType::Discord).await;
    assert!(matches!(take(store, "GEN-001").await, SyncLeaseOutcome::NotConnected));
}
