//! A discord account's way through a cluster: connected, synced, and given back when its user has had enough.

use serde_json::json;
use simulator::Platform;
use testkit::cluster::{Builder, Cluster};
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client, let_in};

/// Gives the workers of a cluster the simulated discord.
pub(crate) fn linked_to(platforms: &Platforms, builder: Builder) -> Builder {
    let url = platforms.handle.url();
    builder
        .worker_env("POSTERN_DISCORD_CLIENT_ID", simulator::CLIENT_ID)
        .worker_env("POSTERN_DISCORD_CLIENT_SECRET", simulator::CLIENT_SECRET)
        .worker_env("POSTERN_DISCORD_AUTH_URL", format!("{url}/discord/oauth2/authorize"))
        .worker_env("POSTERN_DISCORD_TOKEN_URL", format!("{url}/discord/api/oauth2/token"))
        .worker_env("POSTERN_DISCORD_API_URL", format!("{url}/discord/api/v10"))
}

#[tokio::test]
async fn a_discord_account_is_connected_synced_and_given_back() {
    let platforms = Platforms::start().await;
    let cluster = linked_to(&platforms, Cluster::builder(POSTERN)).start().await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let connect = let_in(&platforms, &caller, "GEN-001", "discord").await;
    let answer = caller.emit_with_ack("account:connect", connect).await;
    assert_eq!(answer["account"]["username"], "ada", "{answer}");
    let issued = platforms.handle.snapshot().tokens;
    for token in &issued {
        cluster.canary(&token.access_token);
        cluster.canary(token.refresh_token.as_ref().unwrap());
    }

    let account = json!({ "userId": "GEN-001", "accountType": "discord" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    wait::until_true("the grant to be given back", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
    let ledger = platforms.handle.snapshot().ledger;
    let given_back = ledger.revocations.first().unwrap();
    assert_eq!(
        (given_back.platform, given_back.login.as_deref()),
        (Platform::Discord, Some("ada"))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
