//! Contract of refreshes: a refresh token is sent at most twice, older tokens never overwrite newer ones, and a disconnect is
//! published once.

use std::time::Duration;

use protocol::account::{AccountStatus, AccountType};
use protocol::cluster::envelope::Envelope;
use protocol::time::Timestamp;
use store::{
    DisconnectOutcome, DisconnectedLink, EncryptedTokens, FinishedSync, LeasedSync, Pause, PauseScope, Refresh,
    RefreshOutcome, RefreshStart, RefreshedTokens, RevokeScope, Store, SyncLeaseOutcome, SyncOutcome,
};

use super::queue::leased_tasks;
use super::syncs::taken;
use crate::recorder::relayed;
use crate::sample::{alert, capacities, encrypted, event, link, receipt, session, sync, unlink, user};

super::kept_by_both_stores!(
    refresh_token_is_sent_at_most_twice_across_leases,
    attempt_recorded_twice_counts_once,
    undone_attempt_does_not_count,
    lost_lease_permits_no_refresh,
    paused_platform_permits_no_refresh,
    account_with_a_started_refresh_is_due,
    new_tokens_have_a_new_generation_that_can_be_refreshed,
    repeated_new_tokens_are_stored_once,
    tokens_of_an_older_generation_are_revoked,
    tokens_after_an_unlink_are_revoked,
    tokens_after_a_disconnect_are_revoked,
    disconnected_link_is_published_once_and_not_synced,
    link_with_other_tokens_is_not_disconnected,
    relinked_account_works_after_a_disconnect,
    finished_sync_does_not_restore_a_disconnected_link,
);

const LONG: Duration = Duration::from_secs(3_600);

/// Links GitHub account 7 with a refresh token and leases it.
async fn linked(store: &dyn Store) -> LeasedSync {
    let mut link = link("GEN-001", "7");
    link.events.clear();
    link.tokens = Some(new_tokens("first"));
    store.link_account(&link, &receipt("link")).await.unwrap();
    taken(store).await
}

fn new_tokens(name: &str) -> EncryptedTokens {
    EncryptedTokens {
        access: encrypted(&format!("access {name}")),
        refresh: Some(encrypted(&format!("refresh {name}"))),
        expires_at: Some(Timestamp::from_millis(1_795_451_460_123)),
    }
}

fn attempt(taken: &LeasedSync, number: i64) -> Refresh {
    Refresh {
        lease: taken.lease.clone(),
        generation: taken.found.generation,
        attempt_id: number,
    }
}

fn refreshed(taken: &LeasedSync, name: &str) -> RefreshedTokens {
    let tokens = new_tokens(name);
    RefreshedTokens {
        lease: taken.lease.clone(),
        generation: taken.found.generation,
        revocation: tokens.clone().revocation(AccountType::Github, "7".to_owned()),
        tokens,
    }
}

fn lost(taken: &LeasedSync) -> DisconnectedLink {
    DisconnectedLink {
        lease: taken.lease.clone(),
        generation: taken.found.generation,
        error_message: "connect it again".to_owned(),
        events: vec![event("it was lost"), Envelope::of_alert(alert("GEN-001", "alert"))],
    }
}

async fn begin(store: &dyn Store, taken: &LeasedSync, number: i64) -> RefreshStart {
    store.begin_refresh(&attempt(taken, number)).await.unwrap()
}

/// Releases the lease and takes it again.
async fn again(store: &dyn Store, before: &LeasedSync) -> LeasedSync {
    let ended = sync(&before.lease, "7", &[]);
    assert_eq!(store.finish_sync(&ended, None).await.unwrap(), SyncOutcome::Stored);
    taken(store).await
}

async fn refresh_token_is_sent_at_most_twice_across_leases(store: &dyn Store) {
    let one = linked(store).await;
    assert_eq!(begin(store, &one, 1).await, RefreshStart::Send);
    let other = again(store, &one).await;
    assert_eq!(begin(store, &other, 2).await, RefreshStart::SendLast);
    assert_eq!(begin(store, &other, 3).await, RefreshStart::Spent);
    let third = again(store, &other).await;
    assert_eq!(begin(store, &third, 4).await, RefreshStart::Spent);
}

async fn attempt_recorded_twice_counts_once(store: &dyn Store) {
    let taken = linked(store).await;
    let (first, last) = (RefreshStart::Send, RefreshStart::SendLast);
    for (number, start) in [(1, first), (1, first), (1, first), (2, last), (2, last)] {
        assert_eq!(begin(store, &taken, number).await, start);
    }
    assert_eq!(begin(store, &taken, 3).await, RefreshStart::Spent);
}

async fn undone_attempt_does_not_count(store: &dyn Store) {
    let taken = linked(store).await;
    for number in 1..10 {
        assert_eq!(begin(store, &taken, number).await, RefreshStart::Send);
        // Undone twice, which counts once.
        for _ in 0..2 {
            store.undo_refresh(&attempt(&taken, number)).await.unwrap();
        }
    }
    assert_eq!(begin(store, &taken, 10).await, RefreshStart::Send);
    store.undo_refresh(&attempt(&taken, 9)).await.unwrap();
    assert_eq!(begin(store, &taken, 11).await, RefreshStart::SendLast);
    assert_eq!(begin(store, &taken, 12).await, RefreshStart::Spent);
}

async fn lost_lease_permits_no_refresh(store: &dyn Store) {
    let before = linked(store).await;
    let now = again(store, &before).await;
    assert_eq!(begin(store, &before, 1).await, RefreshStart::Superseded);
    assert_eq!(begin(store, &now, 2).await, RefreshStart::Send);
    store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    assert_eq!(begin(store, &now, 3).await, RefreshStart::Superseded);
}

async fn paused_platform_permits_no_refresh(store: &dyn Store) {
    let first = linked(store).await;
    let pause = FinishedSync {
        pause: Some(Pause {
            wait: LONG,
            scope: PauseScope::Platform,
        }),
        ..sync(&first.lease, "7", &[])
    };
    store.finish_sync(&pause, None).await.unwrap();
    let start = begin(store, &first, 1).await;
    assert!(
        matches!(start, RefreshStart::Paused(left) if left > LONG / 2),
        "{start:?}"
    );
}

async fn account_with_a_started_refresh_is_due(store: &dyn Store) {
    let first = linked(store).await;
    let mine = again(store, &first).await;
    // The last sync made it due in an hour, the refresh makes it due now.
    store.renew_sync_lease(&mine.lease, Duration::ZERO).await.unwrap();
    let due = async || store.lease_due_syncs(&capacities(1), LONG).await.unwrap();
    assert!(due().await.is_empty());
    assert_eq!(begin(store, &mine, 1).await, RefreshStart::Send);
    assert_eq!(due().await.len(), 1);
}

async fn new_tokens_have_a_new_generation_that_can_be_refreshed(store: &dyn Store) {
    let mut lease = linked(store).await;
    for round in 0..3 {
        let name = format!("of round {round}");
        for (send, start) in [(0, RefreshStart::Send), (1, RefreshStart::SendLast)] {
            assert_eq!(begin(store, &lease, round * 10 + send).await, start);
        }
        let written = store.finish_refresh(&refreshed(&lease, &name)).await.unwrap();
        let RefreshOutcome::Stored(generation) = written else {
            panic!("{written:?}");
        };
        assert!(generation > lease.found.generation);
        assert_eq!(begin(store, &lease, 99).await, RefreshStart::TokensReplaced);
        lease = again(store, &lease).await;
        assert_eq!(lease.found.generation, generation);
        assert_eq!(lease.found.tokens, Some(new_tokens(&name)));
    }
    assert!(leased_tasks(store).await.is_empty());
}

async fn repeated_new_tokens_are_stored_once(store: &dyn Store) {
    let taken = linked(store).await;
    let new = refreshed(&taken, "second");
    let first = store.finish_refresh(&new).await.unwrap();
    assert!(matches!(first, RefreshOutcome::Stored(_)));
    assert_eq!(store.finish_refresh(&new).await.unwrap(), first);
    assert!(leased_tasks(store).await.is_empty());
}

async fn tokens_of_an_older_generation_are_revoked(store: &dyn Store) {
    let taken = linked(store).await;
    let stored = store.finish_refresh(&refreshed(&taken, "second")).await.unwrap();
    let late = store.finish_refresh(&refreshed(&taken, "late")).await.unwrap();
    assert_eq!(late, RefreshOutcome::Superseded);
    let now = again(store, &taken).await;
    assert_eq!(RefreshOutcome::Stored(now.found.generation), stored);
    assert_eq!(now.found.tokens, Some(new_tokens("second")));
    // Limited to the tokens, as the link exists.
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(task.revocation.tokens, new_tokens("late"));
    assert_eq!(task.revocation.scope, RevokeScope::Token);
}

async fn tokens_after_an_unlink_are_revoked(store: &dyn Store) {
    let taken = linked(store).await;
    begin(store, &taken, 1).await;
    store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    let late = store.finish_refresh(&refreshed(&taken, "late")).await.unwrap();
    assert_eq!(late, RefreshOutcome::Superseded);
    assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
    let tokens: Vec<_> = leased_tasks(store)
        .await
        .into_iter()
        .map(|task| (task.revocation.tokens.refresh, task.revocation.scope))
        .collect();
    assert_eq!(
        tokens,
        ["refresh first", "refresh late"].map(|token| (Some(encrypted(token)), RevokeScope::Grant))
    );
}

async fn tokens_after_a_disconnect_are_revoked(store: &dyn Store) {
    let taken = linked(store).await;
    store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    let late = store.finish_refresh(&refreshed(&taken, "late")).await.unwrap();
    assert_eq!(late, RefreshOutcome::Superseded);
    assert_eq!(leased_tasks(store).await.len(), 1);
}

async fn disconnected_link_is_published_once_and_not_synced(store: &dyn Store) {
    let taken = linked(store).await;
    for job in ["1", "2"] {
        let written = store.mark_disconnected(&lost(&taken), &receipt(job)).await.unwrap();
        assert_eq!(written, DisconnectOutcome::Disconnected);
    }
    let owner = user("GEN-001");
    let [account] = store.accounts(&owner).await.unwrap().try_into().unwrap();
    assert_eq!(account.status, AccountStatus::Error);
    assert_eq!(account.error_message.as_deref(), Some("connect it again"));
    assert_eq!(relayed(store, &owner).await, ["it was lost", "alert"]);
    assert_eq!(store.open_alerts(&owner).await.unwrap().len(), 1);
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["account_linked", "account_disconnected"]);

    let taking = store
        .lease_sync((&owner, &session()), AccountType::Github, LONG)
        .await
        .unwrap();
    assert!(matches!(taking, SyncLeaseOutcome::Disconnected), "{taking:?}");
    assert_eq!(begin(store, &taken, 1).await, RefreshStart::Superseded);
}

async fn link_with_other_tokens_is_not_disconnected(store: &dyn Store) {
    let taken = linked(store).await;
    store.finish_refresh(&refreshed(&taken, "second")).await.unwrap();
    let written = store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    assert_eq!(written, DisconnectOutcome::TokensReplaced);
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    let written = store.mark_disconnected(&lost(&taken), &receipt("3")).await.unwrap();
    assert_eq!(written, DisconnectOutcome::NotConnected);
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 unlinked"]);
}

async fn relinked_account_works_after_a_disconnect(store: &dyn Store) {
    let before = linked(store).await;
    for number in [1, 2] {
        begin(store, &before, number).await;
    }
    store.mark_disconnected(&lost(&before), &receipt("1")).await.unwrap();
    store
        .link_account(&link("GEN-001", "7"), &receipt("again"))
        .await
        .unwrap();
    let now = taken(store).await;
    assert_eq!(now.found.account.status, AccountStatus::Connected);
    assert_eq!(begin(store, &now, 3).await, RefreshStart::Send);
}

async fn finished_sync_does_not_restore_a_disconnected_link(store: &dyn Store) {
    let taken = linked(store).await;
    store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    let ended = sync(&taken.lease, "7", &["it works"]);
    assert_eq!(store.finish_sync(&ended, None).await.unwrap(), SyncOutcome::Superseded);
    let [account] = store.accounts(&user("GEN-001")).await.unwrap().try_into().unwrap();
    assert_eq!(account.status, AccountStatus::Error);
}
