//! Life of a telegram account in a cluster: connected by its signed id token, synced without a call, notified of the bot's messages, and
//! disconnected locally.

use serde_json::json;
use simulator::{BOT_TOKEN, NewMessage, Platform, Route};
use testkit::client::http::{self, Request};
use testkit::cluster::{Builder, Cluster};

use crate::callback::{PUBLIC_URL, link_by_page};
use crate::command_line::Dev;
use crate::stage::{POSTERN, Platforms, client, link_by_authorization, visit};

/// Configures the workers of a cluster with the simulated telegram.
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
async fn telegram_account_is_connected_synced_notified_and_disconnected() {
    let platforms = Platforms::start().await;
    let cluster = Cluster::builder(POSTERN).workers(2);
    let mut cluster = linked_to(&platforms, cluster).start().await;
    cluster.canary(BOT_TOKEN);
    cluster.canary(simulator::CLIENT_SECRET);
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "telegram").await;
    assert_eq!(linked["account"]["username"], "ada", "{linked}");
    // The same again, by a callback of the application's own.
    let connect = link_by_authorization(&platforms, &caller, "GEN-001", "telegram", "ada")
        .await
        .unwrap();
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
    let expect_notification = async |kind: &str, text: &str| {
        let received = caller.next_event("notification:incoming").await;
        assert_eq!(
            (
                &received.data["type"],
                &received.data["content"],
                &received.data["sender"]
            ),
            (&json!(kind), &json!(text), &json!("grace"))
        );
    };
    // Two workers have the bot's token, one reads, and each message is reported once.
    say("look, Ada", None);
    say("indeed, Ada", Some("ada"));
    expect_notification("mention", "look, Ada").await;
    expect_notification("reply", "indeed, Ada").await;
    // After the reader stops, the other worker continues.
    for worker in [0, 1] {
        cluster.worker(worker).kill().await;
        cluster.restart_worker(worker).await;
    }
    say("still there, Ada?", None);
    expect_notification("mention", "still there, Ada?").await;

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    let listed = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"], json!([]), "{listed}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn embedded_cluster_links_the_account_of_the_login_widget() {
    let dev = Dev::start(&[]).await;
    let caller = dev.client("GEN-001").await;
    let widget = format!(
        "{}/telegram/auth?bot_id=7000000001&return_to=http://localhost:3000/callback",
        dev.simulator()
    );
    let back = visit(&dev.simulator(), &widget, "ada").await;
    let (redirect, payload) = back.split_once('?').unwrap();
    let connect = json!({
        "userId": "GEN-001",
        "accountType": "telegram",
        "oauthCode": payload,
        "redirectUri": redirect,
    });
    let answer = caller.emit_with_ack("account:connect", connect).await;
    assert_eq!(answer["account"]["username"], "ada", "{answer}");
    let id = answer["account"]["platformUserId"].as_str().unwrap();
    let avatar = format!("{}/telegram/avatars/{id}", dev.simulator());
    assert_eq!(answer["account"]["avatarUrl"], avatar);
    dev.stop().await;
}

#[tokio::test]
async fn embedded_cluster_notifies_of_messages_to_its_bot() {
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
    let output = http::plain(simulator, &Request::post("/_control/telegram/messages", &message)).await;
    assert_eq!(output.unwrap().status, 201);
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(received.data["content"], "look, Ada");
    dev.stop().await;
}
