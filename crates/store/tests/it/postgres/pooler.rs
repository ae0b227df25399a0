//! Stores behind a pgbouncer in transaction mode with default settings.

use futures_util::future::join_all;
use store::{Accounts, LinkOutcome};

use crate::database::{migrated_database, pooled_store};
use crate::sample::{link, receipt, user};

#[tokio::test]
async fn two_stores_share_the_connections_of_one_pooler() {
    let database = migrated_database().await;
    let stores = [pooled_store(&database, &[]).await, pooled_store(&database, &[]).await];
    for round in 0..5 {
        let commands = (0..8).map(|number| {
            let store = &stores[number % 2];
            async move {
                let name = format!("GEN-{round}-{number}");
                let linked = store.link_account(&link(&name, &name), &receipt(&name)).await;
                assert_eq!(linked.unwrap(), LinkOutcome::Linked);
                assert_eq!(store.accounts(&user(&name)).await.unwrap().len(), 1);
            }
        });
        join_all(commands).await;
    }
}
