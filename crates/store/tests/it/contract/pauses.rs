//! Contract of platform-wide pauses: only the paused platform is not called.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::id::{SessionId, WorkerId};
use store::{Exchange, ExchangeStart, Store, SyncLeaseOutcome};
use testkit::wait;

use crate::sample::{capacities, link, receipt, session, unlink, user};

super::kept_by_both_stores!(
    paused_platform_is_not_called,
    pause_ends_by_itself_and_is_never_shortened,
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

async fn paused_platform_is_not_called(store: &dyn Store) {
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
    let started = store.begin_exchange(&exchange(paused, 1)).await.unwrap();
    assert!(
        matches!(started, ExchangeStart::Paused(left) if left > LONG / 2),
        "{started:?}"
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

    let started = store.begin_exchange(&exchange(other, 2)).await.unwrap();
    assert_eq!(started, ExchangeStart::First);
    assert!(store.lease_inbox(other, LONG).await.unwrap().is_some());
}

async fn pause_ends_by_itself_and_is_never_shortened(store: &dyn Store) {
    let platform = AccountType::Github;
    store.pause_platform(platform, LONG).await.unwrap();
    store.pause_platform(platform, Duration::ZERO).await.unwrap();
    let started = store.begin_exchange(&exchange(platform, 1)).await.unwrap();
    assert!(matches!(started, ExchangeStart::Paused(_)), "{started:?}");
    let short = AccountType::Discord;
    store.pause_platform(short, Duration::from_millis(50)).await.unwrap();
    wait::until_true("the pause to end", wait::deadline(), async || {
        let started = store.begin_exchange(&exchange(short, 1)).await.unwrap();
        // An exchange that did not start does not use the code.
        started == ExchangeStart::First
    })
    .await;
    assert_eq!(
        store.begin_exchange(&exchange(short, 1)).await.unwrap(),
        ExchangeStart::Spent
    );
}
