//! A telegram account's way through a cluster: let in by its signed name, synced without a call, told of what the bot receives, and
//! ended here alone.

use serde_json::json;
use simulator::{BOT_TOKEN, NewMessage, Platform, Route};
use testkit::client::http::{self, Request};
use testkit::cluster::{Builder, Cluster};

use crate::callback::{PUBLIC_URL, link_by_page};
use crate::command_line::Dev;
use crate::stage::{POSTERN, Platforms, client, let_in};

/// Gives the workers of a cluster the simulated telegram.
fn linked_to(platforms: &Platforms, builder: Builder) -> Builder {
    let url = format!("{}/telegram", platforms.handle.url());
    builder
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
        .worker_env("POSTERN_TELEGRAM_CLIENT_ID", simulator::CLIENT_ID)
        .worker_env("POSTERN_TELEGRAM_CLIENT_SECRET", simulator::CLIENT_SECRET)
        .worker_env("POSTERN_TELEGRAM_AUTH_URL", format!("{url}/auth"))
        .worker_env("POSTERN_TELEGRAM_TOKEN_URL", format!("{url}/token"))
        .worker_env("POSTERN_TELEGRAM_JWKS_URL", format!("{url}/.well-known/jwks.json"))
        .worker_env("POSTERN_TELEGRAM_API_URL", &url)
        .worker_env("POSTERN_TELEGRAM_ISSUER", &url)
        .worker_env("POSTERN_TELEGRAM_BOT_TOKEN", BOT_TOKEN)
}

#[tokio::test]
async fn a_telegram_account_is_connected_synced_told_and_ended() {
    let platforms = Platforms::start().await;
    let cluster = Cluster::builder(POSTERN).workers(2);
    let mut cluster = linked_to(&platforms, cluster).start().await;
    cluster.canary(BOT_TOKEN);
    cluster.canary(simulator::CLIENT_SECRET);
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "telegram").await;
    assert_eq!(linked["account"]["username"], "ada", "{linked}");
    // The same again, by a callback of the application's own.
    let connect = let_in(&platforms, &caller, "GEN-001", "telegram", "ada").await.unwrap();
    let answer = caller.emit_with_ack("account:connect", connect.clone()).await;
    assert_eq!(answer["account"]["username"], "ada", "{answer}");
    platforms.watch_tokens(&cluster);
    let answer = caller.emit_with_ack("account:connect", connect).await;
    assert_eq!(answer["success"], false, "a state is good once: {answer}");
    let exchanges = platforms
        .handle
        .snapshot()
        .ledger
        .requests(Platform::Telegram, Route::Token);
    assert_eq!(exchanges, 2);

    let account = json!({ "userId": "GEN-001", "accountType": "telegram" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");
    let say = |text: &str, reply_to: Option<&str>| {
        platforms.handle.post_to_telegram(&NewMessage {
            mentions: vec!["ada".to_owned()],
            reply_to: reply_to.map(str::to_owned),
            text: text.to_owned(),
            ..NewMessage::default()
        });
    };
    let heard = async |kind: &str, text: &str| {
        let told = caller.next_event("notification:incoming").await;
        assert_eq!(
            (&told.data["type"], &told.data["content"], &told.data["sender"]),
            (&json!(kind), &json!(text), &json!("grace"))
        );
    };
    // Two workers have the bot's token, one reads, and each thing is heard once.
    say("look, Ada", None);
    say("indeed, Ada", Some("ada"));
    heard("mention", "look, Ada").await;
    heard("reply", "indeed, Ada").await;
    // Whoever it was that read, another goes on.
    for worker in [0, 1] {
        cluster.worker(worker).kill().await;
        cluster.restart_worker(worker).await;
    }
    say("still there, Ada?", None);
    heard("mention", "still there, Ada?").await;

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    let listed = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"], json!([]), "{listed}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_embedded_cluster_tells_what_its_bot_is_made_to_receive() {
    let dev = Dev::start(&[]).await;
    let caller = dev.client("GEN-001").await;
    let connect = json!({
        "userId": "GEN-001",
        "accountType": "telegram",
        "oauthCode": "test_code_ada",
        "redirectUri": "http://localhost:3000/callback",
    });
    let answer = caller.emit_with_ack("account:connect", connect).await;
    assert_eq!(answer["account"]["username"], "ada", "{answer}");
    let simulator = dev.simulator().strip_prefix("http://").unwrap().parse().unwrap();
    let message = json!({ "author": "grace", "mentions": ["ada"], "text": "look, Ada" });
    let said = http::plain(simulator, &Request::post("/_control/telegram/messages", &message)).await;
    assert_eq!(said.unwrap().status, 201);
    let told = caller.next_event("notification:incoming").await;
    assert_eq!(told.data["content"], "look, Ada");
    dev.stop().await;
}
