//! `account:sync`.

use std::time::Duration;

use protocol::command::CommandKind;
use protocol::id::WorkerId;
use serde_json::json;
use simulator::{Kind, Limit, Route};
use store::TaskQueue;

use crate::client::{assert_error, assert_success};
use crate::env::{TestEnv, capacity_for, status, with_github};
use crate::scripted_platform::ScriptedPlatform;

#[tokio::test]
async fn sync_answers_its_result_and_notifies_all_devices() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        github.notify("ada", "Please review");

        let answer = client.for_github(CommandKind::Sync).await;
        assert_success(&answer);
        assert_eq!(answer["data"]["profile"]["username"], "ada");
        assert_eq!(answer["data"]["notifications"], 1);
        assert_eq!(answer["data"]["more"], false);

        assert_eq!(client.status().await.0, "syncing");
        let (name, notification) = client.event().await;
        assert_eq!(
            (name.as_str(), &notification["type"]),
            ("notification:incoming", &json!("mention"))
        );
        assert!(notification["content"].as_str().unwrap().contains("Please review"));
        let (status, metadata) = client.status().await;
        assert_eq!(
            (status.as_str(), &metadata["lastSynced"]),
            ("connected", &answer["lastSynced"])
        );
    })
    .await;
}

#[tokio::test]
async fn notification_found_twice_is_sent_once() {
    with_github(async |mut env, github| {
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.notify("ada", "Please review");
        let mut events = Vec::new();
        for _ in 0..2 {
            // Relinked, the account has no cursor, and the platform returns the same notification again.
            assert_success(&client.connect("test_code_ada").await);
            assert_eq!(client.for_github(CommandKind::Sync).await["data"]["notifications"], 1);
        }
        assert_success(&client.for_github(CommandKind::Disconnect).await);
        loop {
            let (name, data) = client.event().await;
            if data["status"] == "disconnected" {
                break;
            }
            events.push(name);
        }
        let sent = events.iter().filter(|name| *name == "notification:incoming").count();
        assert_eq!(sent, 1, "{events:?}");
    })
    .await;
}

#[tokio::test]
async fn sync_without_link_reports_not_connected() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let answer = client.for_github(CommandKind::Sync).await;
        assert_error(&answer, "not_connected");
        assert_eq!(answer["lastSynced"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn withdrawn_link_has_error_status_until_relink() {
    with_github(async |mut env, github| {
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let synced = client.for_github(CommandKind::Sync).await;
        github.deauthorize("ada");

        let answer = client.for_github(CommandKind::Sync).await;
        let sentence = assert_error(&answer, "oauth_failed");
        assert_eq!(answer["lastSynced"], synced["lastSynced"]);
        for expected in ["connected", "syncing", "connected", "syncing"] {
            assert_eq!(client.status().await.0, expected);
        }
        let (status, metadata) = client.status().await;
        assert_eq!(
            (status.as_str(), &metadata["errorMessage"]),
            ("error", &json!(sentence))
        );
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"][0]["status"], "error");

        let again = client.connect("test_code_ada").await;
        assert_eq!(again["account"]["status"], "connected");
    })
    .await;
}

#[tokio::test]
async fn throttled_sync_keeps_account_connected() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 77,
        };
        github.fault(Route::Profile, wait);
        let answer = client.for_github(CommandKind::Sync).await;
        assert_error(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
        for expected in ["connected", "syncing", "connected"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn sync_at_failing_platform_sets_account_error() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        github.fault(Route::Profile, status(503));
        assert_error(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
        for expected in ["connected", "syncing", "error"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

/// The scripted platform hangs at a sync, so an answered sync has sent no request.
#[tokio::test]
async fn account_without_tokens_is_synced_and_unlinked_without_request() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect(ScriptedPlatform::OWNER_ONLY).await);
    assert_eq!(client.status().await.0, "connected");

    let answer = client.for_github(CommandKind::Sync).await;
    assert_success(&answer);
    assert_eq!(answer["data"]["profile"]["username"], "ada");
    assert_eq!(client.status().await.0, "syncing");
    let (status, metadata) = client.status().await;
    assert_eq!(
        (status.as_str(), &metadata["lastSynced"]),
        ("connected", &answer["lastSynced"])
    );

    assert_success(&client.for_github(CommandKind::Disconnect).await);
    assert_eq!(client.status().await.0, "disconnected");
    let queued = env
        .store
        .lease_tasks(&WorkerId::new("w").unwrap(), &capacity_for(9), Duration::from_secs(1))
        .await;
    assert!(queued.unwrap().is_empty());
}
