//! A platform that asks the whole application to wait is asked for nothing meanwhile, and others are.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::id::{SessionId, WorkerId};
use store::{Exchange, ExchangeStart, Store, SyncLeaseOutcome};
use testkit::wait;

use crate::sample::{capacities, link, receipt, session, unlink, user};

super::kept_by_both_stores!(
    nothing_is_begun_at_a_platform_that_asked_to_wait,
    a_pause_ends_by_itself_and_is_never_shortened,
);

const LONG: Duration = Duration::from_hours(1);

fn exchange(account: AccountType, code: u8) -> Exchange {
    Exchange {
        user: user("GEN-001"),
        session: SessionId::new("s").unwrap(),
        account,
        code_hash: [code; 32],
        state_hash: None,
    }
}

async fn nothing_is_begun_at_a_platform_that_asked_to_wait(store: &dyn Store) {
    let (paused, other) = (AccountType::Github, AccountType::Discord);
    for name in ["GEN-001", "GEN-002"] {
        store.link_account(&link(name, name), &receipt(name)).await.unwrap();
    }
    store
        .unlink_account(&unlink("GEN-001"), &receipt("unlink"))
        .await
        .unwrap();
    store.pause_platform(paused, LONG).await.unwrap();

    let taking = store
        .lease_sync((&user("GEN-002"), &session()), paused, LONG)
        .await
        .unwrap();
    assert!(
        matches!(taking, SyncLeaseOutcome::Paused(left) if left > LONG / 2),
        "{taking:?}"
    );
    let begun = store.begin_exchange(&exchange(paused, 1)).await.unwrap();
    assert!(
        matches!(begun, ExchangeStart::Paused(left) if left > LONG / 2),
        "{begun:?}"
    );
    let worker = WorkerId::new("w").unwrap();
    assert!(
        store
            .lease_tasks(&worker, &capacities(9), LONG)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.lease_inbox(paused, LONG).await.unwrap(), None);

    let begun = store.begin_exchange(&exchange(other, 2)).await.unwrap();
    assert_eq!(begun, ExchangeStart::First);
    assert!(store.lease_inbox(other, LONG).await.unwrap().is_some());
}

async fn a_pause_ends_by_itself_and_is_never_shortened(store: &dyn Store) {
    let platform = AccountType::Github;
    store.pause_platform(platform, LONG).await.unwrap();
    store.pause_platform(platform, Duration::ZERO).await.unwrap();
    let begun = store.begin_exchange(&exchange(platform, 1)).await.unwrap();
    assert!(matches!(begun, ExchangeStart::Paused(_)), "{begun:?}");
    let short = AccountType::Discord;
    store.pause_platform(short, Duration::from_millis(50)).await.unwrap();
    wait::until_true("the pause to end", wait::deadline(), async || {
        let begun = store.begin_exchange(&exchange(short, 1)).await.unwrap();
        // What was not begun is not spent.
        begun == ExchangeStart::First
    })
    .await;
    assert_eq!(
        store.begin_exchange(&exchange(short, 1)).await.unwrap(),
        ExchangeStart::Spent
    );
}
