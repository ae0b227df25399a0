//! Server with fewer connections than the pools want.

use futures_util::future::join_all;
use protocol::secret::Secret;
use store::{Accounts, LinkOutcome, PgSettings, PgStore};
use testkit::Postgres;

use crate::database::{meter, migrate};
use crate::sample::{audit_keys, link, receipt, user};

#[tokio::test]
async fn two_stores_on_eight_connections_complete_every_command() {
    let postgres = Postgres::start_with_settings(&["max_connections=8", "superuser_reserved_connections=0"]).await;
    let schema = postgres.schema().await;
    migrate(&schema.owner_url()).await;
    let wanted = PgSettings::parse(&Secret::new(schema.url()), 16).unwrap();
    let stores = [
        PgStore::connect(&wanted, audit_keys(), &meter()).await.unwrap(),
        PgStore::connect(&wanted, audit_keys(), &meter()).await.unwrap(),
    ];
    let commands = (0..120).map(|number| {
        let store = &stores[number % 2];
        async move {
            let name = format!("GEN-{number}");
            let linked = store
                .link_account(&link(&name, &number.to_string()), &receipt(&name))
                .await?;
            store
                .accounts(&user(&name))
                .await
                .map(|accounts| (linked, accounts.len()))
        }
    });
    let answers = join_all(commands).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert!(
        refused.is_empty(),
        "{} of 120 were refused: {:?}",
        refused.len(),
        refused[0]
    );
    assert!(
        answers
            .iter()
            .flatten()
            .all(|answer| *answer == (LinkOutcome::Linked, 1))
    );
}
