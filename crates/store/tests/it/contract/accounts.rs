//! Contract of accounts: reads, exchanges, unlinks and failed links.

use protocol::account::{AccountStatus, AccountType};
use protocol::id::SessionId;
use protocol::time::Timestamp;
use store::{
    EncryptedTokens, Exchange, ExchangeStart, Link, LinkOutcome, PreviousAnswer, RevokeScope, Store, StoreError,
    UnlinkOutcome, WriteOutcome,
};

use super::queue::leased_tasks;
use crate::recorder::relayed;
use crate::sample::{account, actor, encrypted, job, late_receipt, link, receipt, refused, renewable, unlink, user};

super::kept_by_both_stores!(
    link_is_read_back_as_stored,
    accounts_are_listed_by_platform_name,
    unknown_user_has_no_accounts,
    code_is_exchanged_once,
    state_is_used_once_with_any_code,
    unlink_moves_the_token_into_a_revocation,
    unlink_revokes_every_token_of_the_link,
    unlink_does_not_end_another_users_link_of_the_same_account,
    repeated_unlink_returns_its_first_answer,
    unlink_without_account_stores_no_answer,
    unlink_after_its_deadline_changes_nothing,
    failed_link_is_published_unless_the_account_works,
    repeated_failed_link_is_published_once,
    failed_link_revokes_what_was_issued,
);

async fn link_is_read_back_as_stored(store: &dyn Store) {
    let mut link = link("GEN-001", "7");
    link.account.avatar_url = Some("https://example.org/7.png".to_owned());
    link.account.last_synced = Some(Timestamp::from_millis(1));
    link.account.error_message = Some("it was \"slow\"\n".to_owned());
    link.account.status = AccountStatus::Error;
    link.tokens = Some(EncryptedTokens {
        access: encrypted("\0\u{ff}access"),
        refresh: Some(encrypted("refresh")),
        expires_at: Some(Timestamp::from_millis(1_795_451_460_123)),
    });
    let stored = store.link_account(&link, &receipt("1")).await.unwrap();
    assert_eq!(stored, LinkOutcome::Linked);

    assert_eq!(store.accounts(&link.user).await.unwrap(), [link.account.clone()]);
    let credentials = store
        .credentials(&link.user, AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(credentials.account, link.account);
    assert_eq!(credentials.tokens, link.tokens);
    assert_eq!(credentials.cursor, None);
    assert_eq!(relayed(store, &link.user).await, ["GEN-001 linked 7"]);
}

async fn accounts_are_listed_by_platform_name(store: &dyn Store) {
    for platform in AccountType::ALL {
        let link = Link {
            account: account(platform, "7"),
            ..link("GEN-001", "7")
        };
        store.link_account(&link, &receipt(platform.as_str())).await.unwrap();
    }
    store
        .link_account(&link("GEN-002", "8"), &receipt("other"))
        .await
        .unwrap();
    let accounts = store.accounts(&user("GEN-001")).await.unwrap();
    let platforms: Vec<_> = accounts.iter().map(|account| account.account_type.as_str()).collect();
    assert_eq!(platforms, ["discord", "github", "telegram", "x_twitter"]);
}

async fn unknown_user_has_no_accounts(store: &dyn Store) {
    let nobody = user("GEN-404");
    assert!(store.accounts(&nobody).await.unwrap().is_empty());
    assert!(store.credentials(&nobody, AccountType::Github).await.unwrap().is_none());
    assert_eq!(store.access_epoch(&nobody).await.unwrap(), 0);
    assert!(relayed(store, &nobody).await.is_empty());
}

fn exchange(code: u8, state: Option<u8>) -> Exchange {
    Exchange {
        user: user("GEN-001"),
        session: SessionId::new("s1").unwrap(),
        account: AccountType::Github,
        code_hash: [code; 32],
        state_hash: state.map(|state| [state; 32]),
    }
}

async fn code_is_exchanged_once(store: &dyn Store) {
    let begin = async |code, state| store.begin_exchange(&exchange(code, state)).await.unwrap();
    assert_eq!(begin(1, None).await, ExchangeStart::First);
    assert_eq!(begin(1, None).await, ExchangeStart::Spent);
    assert_eq!(begin(1, Some(9)).await, ExchangeStart::Spent);
    assert_eq!(begin(2, None).await, ExchangeStart::First);
    // Two concurrent calls: one may send.
    let (one, other) = tokio::join!(begin(3, None), begin(3, None));
    assert_ne!(one, other);
}

async fn state_is_used_once_with_any_code(store: &dyn Store) {
    let begin = async |code, state| store.begin_exchange(&exchange(code, Some(state))).await.unwrap();
    assert_eq!(begin(1, 101).await, ExchangeStart::First);
    assert_eq!(begin(2, 101).await, ExchangeStart::Spent);
    // A refused exchange records nothing.
    assert_eq!(begin(2, 102).await, ExchangeStart::First);
}

async fn unlink_moves_the_token_into_a_revocation(store: &dyn Store) {
    let link = link("GEN-001", "7");
    store.link_account(&link, &receipt("1")).await.unwrap();
    let unlinked = store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    assert_eq!(unlinked, UnlinkOutcome::Unlinked);

    assert!(store.accounts(&link.user).await.unwrap().is_empty());
    assert_eq!(
        relayed(store, &link.user).await,
        ["GEN-001 linked 7", "GEN-001 unlinked"]
    );
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!((&task.user, task.tries), (&link.user, 0));
    assert_eq!(task.revocation.scope, RevokeScope::Grant);
    assert_eq!(Some(task.revocation), link.revocation);
}

async fn unlink_revokes_every_token_of_the_link(store: &dyn Store) {
    let mut link = link("GEN-001", "7");
    link.tokens = Some(renewable("7"));
    store.link_account(&link, &receipt("1")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(task.revocation.tokens, renewable("7"));
}

async fn unlink_does_not_end_another_users_link_of_the_same_account(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-002", "7"), &receipt("2")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("3")).await.unwrap();
    store.unlink_account(&unlink("GEN-002"), &receipt("4")).await.unwrap();
    let tasks = leased_tasks(store).await;
    let scopes: Vec<_> = tasks
        .iter()
        .map(|task| (task.user.as_str(), task.revocation.scope))
        .collect();
    assert_eq!(
        scopes,
        [("GEN-001", RevokeScope::Token), ("GEN-002", RevokeScope::Grant)]
    );
}

async fn repeated_unlink_returns_its_first_answer(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    let again = store.unlink_account(&unlink("GEN-001"), &receipt("2")).await.unwrap();
    assert_eq!(again, UnlinkOutcome::Repeated(encrypted("answer to 2")));
    assert_eq!(leased_tasks(store).await.len(), 1);
}

async fn unlink_without_account_stores_no_answer(store: &dyn Store) {
    let nothing = store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    assert_eq!(nothing, UnlinkOutcome::NotConnected);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("1"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert!(relayed(store, &user("GEN-001")).await.is_empty());
}

async fn unlink_after_its_deadline_changes_nothing(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let late = store.unlink_account(&unlink("GEN-001"), &late_receipt("2")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert_eq!(store.accounts(&user("GEN-001")).await.unwrap().len(), 1);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("2"), None)
            .await
            .unwrap(),
        PreviousAnswer::Nothing
    );
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 linked 7"]);
    assert!(leased_tasks(store).await.is_empty());
}

async fn failed_link_is_published_unless_the_account_works(store: &dyn Store) {
    for (name, status, is_published) in [
        ("works", Some(AccountStatus::Connected), false),
        ("is syncing", Some(AccountStatus::Syncing), false),
        ("is in error", Some(AccountStatus::Error), true),
        ("is not linked", None, true),
    ] {
        if let Some(status) = status {
            let mut link = link(name, "7");
            link.account.status = status;
            link.events.clear();
            store
                .link_account(&link, &receipt(&format!("link {name}")))
                .await
                .unwrap();
        }
        let written = store.refuse_link(&refused(name), &receipt(name)).await.unwrap();
        assert_eq!(written, WriteOutcome::Committed);
        assert_eq!(
            relayed(store, &user(name)).await.len(),
            usize::from(is_published),
            "{name}"
        );
    }
}

async fn repeated_failed_link_is_published_once(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &receipt("1")).await.unwrap();
    let again = store.refuse_link(&refused("GEN-001"), &receipt("1")).await.unwrap();
    assert_eq!(again, WriteOutcome::Repeated(encrypted("answer to 1")));
    assert_eq!(relayed(store, &user("GEN-001")).await, ["GEN-001 was refused"]);
}

async fn failed_link_revokes_what_was_issued(store: &dyn Store) {
    let issued = link("GEN-001", "7").revocation;
    let mut refused = refused("GEN-001");
    refused.revocation = issued.clone();
    for _ in 0..2 {
        store.refuse_link(&refused, &receipt("1")).await.unwrap();
    }
    let [task] = leased_tasks(store).await.try_into().unwrap();
    assert_eq!(Some(task.revocation), issued);
}
