//! Failover to a synchronous standby: whatever was answered is there.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use store::{Accounts, LinkOutcome, StoreError};
use testkit::{Postgres, wait};

use crate::database::{migrate, store_at};
use crate::sample::{encrypted, link, receipt, user};

#[tokio::test]
async fn no_answered_command_is_lost_by_a_failover_to_a_synchronous_standby() {
    let mut postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    migrate(&schema.owner_url()).await;
    let mut standby = postgres.synchronous_standby().await;
    let store = store_at(&schema.url()).await;
    let has_ended = AtomicBool::new(false);
    let commands = join_all((0..4).map(async |client| {
        let (mut answered, mut unanswered) = (Vec::new(), Vec::new());
        for number in 0.. {
            let name = format!("GEN-{client}-{number}");
            match store.link_account(&link(&name, &name), &receipt(&name)).await {
                Ok(outcome) => {
                    assert_eq!(outcome, LinkOutcome::Linked);
                    answered.push(name);
                }
                Err(StoreError::Unavailable { .. } | StoreError::Unknown { .. }) => unanswered.push(name),
                Err(error) => panic!("{error:?}"),
            }
            if has_ended.load(Ordering::Relaxed) {
                break;
            }
        }
        (answered, unanswered)
    }));
    let failover = async {
        let linked = "SELECT FROM accounts LIMIT 20";
        wait::until_true("commands to be answered", wait::deadline(), async || {
            schema.sql(linked).await.len() == 20
        })
        .await;
        // From here on the standby misses what the primary writes, so that nothing may be answered.
        standby.pause();
        let stuck = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        wait::until_true("commits to wait for the standby", wait::deadline(), async || {
            schema.sql(stuck).await.len() >= 4
        })
        .await;
        postgres.kill().await;
        has_ended.store(true, Ordering::Relaxed);
    };
    let (commands, ()) = tokio::join!(commands, failover);

    standby.resume();
    standby.promote().await;
    let schema = standby.schema_of_copy(&schema);
    let store = store_at(&schema.url()).await;
    for (answered, unanswered) in commands {
        for name in answered {
            let accounts = store.accounts(&user(&name)).await.unwrap();
            assert_eq!(accounts.len(), 1, "{name} is lost");
        }
        assert!(!unanswered.is_empty());
        // Repeats of the others find out what became of them.
        for name in unanswered {
            let repeated = store.link_account(&link(&name, &name), &receipt(&name)).await.unwrap();
            let known = LinkOutcome::Repeated(encrypted(&format!("answer to {name}")));
            assert!(repeated == LinkOutcome::Linked || repeated == known, "{repeated:?}");
        }
    }
}
