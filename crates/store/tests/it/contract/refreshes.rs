//! Refreshes: a refresh token is sent at most twice, tokens are never overwritten by older ones, and a lost link is told once.

use std::time::Duration;

use protocol::account::{AccountStatus, AccountType};
use protocol::cluster::envelope::Envelope;
use protocol::time::Timestamp;
use store::{
    DisconnectOutcome, DisconnectedLink, EncryptedTokens, FinishedSync, LeasedSync, Pause, Paused, Refresh,
    RefreshOutcome, RefreshStart, RefreshedTokens, RevokeScope, Store, SyncLeaseOutcome, SyncOutcome,
};

use super::queue::leased_tasks;
use super::syncs::taken;
use crate::recorder::relayed;
use crate::sample::{alert, capacities, encrypted, event, link, receipt, session, sync, unlink, user};

super::kept_by_both_stores!(
    a_refresh_token_is_sent_twice_at_most_whoever_has_the_turn,
    a_sending_recorded_again_counts_once,
    a_sending_that_did_not_happen_does_not_count,
    nothing_is_sent_by_who_has_lost_the_turn,
    nothing_is_sent_while_the_platform_is_to_be_left_alone,
    an_account_whose_refresh_has_begun_is_due,
    new_tokens_have_a_new_generation_that_may_be_refreshed_again,
    new_tokens_are_stored_once_however_often_they_come,
    tokens_of_an_older_generation_are_given_back,
    tokens_that_come_after_the_unlink_are_given_back,
    tokens_that_come_after_the_loss_are_given_back,
    a_lost_link_is_told_once_and_left_alone,
    a_link_with_other_tokens_is_not_lost,
    a_lost_link_that_is_linked_anew_works_again,
    the_end_of_a_sync_does_not_bring_a_lost_link_back,
);

const LONG: Duration = Duration::from_secs(3_600);

/// Links GitHub account 7 with a refresh token, and takes its turn.
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

fn sending(taken: &LeasedSync, number: i64) -> Refresh {
    Refresh {
        lease: taken.lease.clone(),
        generation: taken.found.generation,
        sending: number,
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
    store.begin_refresh(&sending(taken, number)).await.unwrap()
}

/// Lets the turn go and takes it again.
async fn again(store: &dyn Store, before: &LeasedSync) -> LeasedSync {
    let ended = sync(&before.lease, "7", &[]);
    assert_eq!(store.finish_sync(&ended, None).await.unwrap(), SyncOutcome::Stored);
    taken(store).await
}

async fn a_refresh_token_is_sent_twice_at_most_whoever_has_the_turn(store: &dyn Store) {
    let one = linked(store).await;
    assert_eq!(begin(store, &one, 1).await, RefreshStart::Send);
    let other = again(store, &one).await;
    assert_eq!(begin(store, &other, 2).await, RefreshStart::SendLast);
    assert_eq!(begin(store, &other, 3).await, RefreshStart::Spent);
    let third = again(store, &other).await;
    assert_eq!(begin(store, &third, 4).await, RefreshStart::Spent);
}

async fn a_sending_recorded_again_counts_once(store: &dyn Store) {
    let taken = linked(store).await;
    let (first, last) = (RefreshStart::Send, RefreshStart::SendLast);
    for (number, start) in [(1, first), (1, first), (1, first), (2, last), (2, last)] {
        assert_eq!(begin(store, &taken, number).await, start);
    }
    assert_eq!(begin(store, &taken, 3).await, RefreshStart::Spent);
}

async fn a_sending_that_did_not_happen_does_not_count(store: &dyn Store) {
    let taken = linked(store).await;
    for number in 1..10 {
        assert_eq!(begin(store, &taken, number).await, RefreshStart::Send);
        // Twice: it is undone once.
        for _ in 0..2 {
            store.undo_refresh(&sending(&taken, number)).await.unwrap();
        }
    }
    assert_eq!(begin(store, &taken, 10).await, RefreshStart::Send);
    store.undo_refresh(&sending(&taken, 9)).await.unwrap();
    assert_eq!(begin(store, &taken, 11).await, RefreshStart::SendLast);
    assert_eq!(begin(store, &taken, 12).await, RefreshStart::Spent);
}

async fn nothing_is_sent_by_who_has_lost_the_turn(store: &dyn Store) {
    let before = linked(store).await;
    let now = again(store, &before).await;
    assert_eq!(begin(store, &before, 1).await, RefreshStart::Superseded);
    assert_eq!(begin(store, &now, 2).await, RefreshStart::Send);
    store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    assert_eq!(begin(store, &now, 3).await, RefreshStart::Superseded);
}

async fn nothing_is_sent_while_the_platform_is_to_be_left_alone(store: &dyn Store) {
    let first = linked(store).await;
    let pause = FinishedSync {
        pause: Some(Pause {
            wait: LONG,
            of: Paused::Platform,
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

async fn an_account_whose_refresh_has_begun_is_due(store: &dyn Store) {
    let first = linked(store).await;
    let mine = again(store, &first).await;
    // An hour from now, says the sync before; now, says the refresh.
    store.renew_sync_lease(&mine.lease, Duration::ZERO).await.unwrap();
    let due = async || store.lease_due_syncs(&capacities(1), LONG).await.unwrap();
    assert!(due().await.is_empty());
    assert_eq!(begin(store, &mine, 1).await, RefreshStart::Send);
    assert_eq!(due().await.len(), 1);
}

async fn new_tokens_have_a_new_generation_that_may_be_refreshed_again(store: &dyn Store) {
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

async fn new_tokens_are_stored_once_however_often_they_come(store: &dyn Store) {
    let taken = linked(store).await;
    let new = refreshed(&taken, "second");
    let first = store.finish_refresh(&new).await.unwrap();
    assert!(matches!(first, RefreshOutcome::Stored(_)));
    assert_eq!(store.finish_refresh(&new).await.unwrap(), first);
    assert!(leased_tasks(store).await.is_empty());
}

async fn tokens_of_an_older_generation_are_given_back(store: &dyn Store) {
    let taken = linked(store).await;
    let stored = store.finish_refresh(&refreshed(&taken, "second")).await.unwrap();
    let late = store.finish_refresh(&refreshed(&taken, "late")).await.unwrap();
    assert_eq!(late, RefreshOutcome::Superseded);
    let now = again(store, &taken).await;
    assert_eq!(RefreshOutcome::Stored(now.found.generation), stored);
    assert_eq!(now.found.tokens, Some(new_tokens("second")));
    // Not the whole grant: the link lives.
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(task.revocation.tokens, new_tokens("late"));
    assert_eq!(task.revocation.scope, RevokeScope::Token);
}

async fn tokens_that_come_after_the_unlink_are_given_back(store: &dyn Store) {
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

async fn tokens_that_come_after_the_loss_are_given_back(store: &dyn Store) {
    let taken = linked(store).await;
    store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    let late = store.finish_refresh(&refreshed(&taken, "late")).await.unwrap();
    assert_eq!(late, RefreshOutcome::Superseded);
    assert_eq!(leased_tasks(store).await.len(), 1);
}

async fn a_lost_link_is_told_once_and_left_alone(store: &dyn Store) {
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
    let acts: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(acts, ["account_linked", "link_lost"]);

    let taking = store
        .lease_sync((&owner, &session()), AccountType::Github, LONG)
        .await
        .unwrap();
    assert!(matches!(taking, SyncLeaseOutcome::Disconnected), "{taking:?}");
    assert_eq!(begin(store, &taken, 1).await, RefreshStart::Superseded);
}

async fn a_link_with_other_tokens_is_not_lost(store: &dyn Store) {
    let taken = linked(store).await;
    store.finish_refresh(&refreshed(&taken, "second")).await.unwrap();
    let written = store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    assert_eq!(written, DisconnectOutcome::TokensReplaced);
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    let written = store.mark_disconnected(&lost(&taken), &receipt("3")).await.unwrap();
    assert_eq!(written, DisconnectOutcome::NotConnected);
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 unlinked"]);
}

async fn a_lost_link_that_is_linked_anew_works_again(store: &dyn Store) {
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

async fn the_end_of_a_sync_does_not_bring_a_lost_link_back(store: &dyn Store) {
    let taken = linked(store).await;
    store.mark_disconnected(&lost(&taken), &receipt("1")).await.unwrap();
    let ended = sync(&taken.lease, "7", &["it works"]);
    assert_eq!(store.finish_sync(&ended, None).await.unwrap(), SyncOutcome::Superseded);
    let [account] = store.accounts(&user("GEN-001")).await.unwrap().try_into().unwrap();
    assert_eq!(account.status, AccountStatus::Error);
}
