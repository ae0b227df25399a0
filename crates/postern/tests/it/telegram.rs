//! A telegram account's way through a cluster: let in by its signed name, synced without a call, and ended here alone.

use serde_json::json;
use simulator::{Platform, Route};
use testkit::cluster::{Builder, Cluster};

use crate::stage::{POSTERN, Platforms, client, let_in};

/// Gives the workers of a cluster the simulated telegram.
fn linked_to(platforms: &Platforms, builder: Builder) -> Builder {
    let url = format!("{}/telegram", platforms.handle.url());
    builder
        .worker_env("POSTERN_TELEGRAM_CLIENT_ID", simulator::CLIENT_ID)
        .worker_env("POSTERN_TELEGRAM_CLIENT_SECRET", simulator::CLIENT_SECRET)
        .worker_env("POSTERN_TELEGRAM_AUTH_URL", format!("{url}/auth"))
        .worker_env("POSTERN_TELEGRAM_TOKEN_URL", format!("{url}/token"))
        .worker_env("POSTERN_TELEGRAM_JWKS_URL", format!("{url}/.well-known/jwks.json"))
        .worker_env("POSTERN_TELEGRAM_API_URL", &url)
        .worker_env("POSTERN_TELEGRAM_ISSUER", &url)
}

#[tokio::test]
async fn a_telegram_account_is_connected_synced_and_ended() {
    let platforms = Platforms::start().await;
    let cluster = linked_to(&platforms, Cluster::builder(POSTERN)).start().await;
    cluster.canary(simulator::CLIENT_SECRET);
    let caller = client(&cluster, 0, "GEN-001").await;
    let connect = let_in(&platforms, &caller, "GEN-001", "telegram").await;
    let answer = caller.emit_with_ack("account:connect", connect.clone()).await;
    assert_eq!(answer["account"]["username"], "ada", "{answer}");
    for token in platforms.handle.snapshot().tokens {
        cluster.canary(&token.access_token);
    }
    let answer = caller.emit_with_ack("account:connect", connect).await;
    assert_eq!(answer["success"], false, "a state is good once: {answer}");
    let exchanges = platforms
        .handle
        .snapshot()
        .ledger
        .requests(Platform::Telegram, Route::Token);
    assert_eq!(exchanges, 1);

    let account = json!({ "userId": "GEN-001", "accountType": "telegram" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");
    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    let listed = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"], json!([]), "{listed}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
