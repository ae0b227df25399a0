//! `account:sync`.

use std::time::Duration;

use protocol::command::CommandKind;
use protocol::id::WorkerId;
use serde_json::json;
use simulator::{Kind, Limit, Route};
use store::TaskQueue;

use crate::client::{refused, succeeded};
use crate::scripted::Scripted;
use crate::world::{World, capacity_for, status, with_github};

#[tokio::test]
async fn a_sync_answers_what_it_found_and_tells_all_devices() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        github.notify("ada", "Please review");

        let answer = client.for_github(CommandKind::Sync).await;
        succeeded(&answer);
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
async fn the_same_news_is_told_once_however_often_it_is_found() {
    with_github(async |mut world, github| {
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.notify("ada", "Please review");
        let mut events = Vec::new();
        for _ in 0..2 {
            // Linked anew, the account has no cursor, and the platform tells the same again.
            succeeded(&client.connect("test_code_ada").await);
            assert_eq!(client.for_github(CommandKind::Sync).await["data"]["notifications"], 1);
        }
        succeeded(&client.for_github(CommandKind::Disconnect).await);
        loop {
            let (name, data) = client.event().await;
            if data["status"] == "disconnected" {
                break;
            }
            events.push(name);
        }
        let told = events.iter().filter(|name| *name == "notification:incoming").count();
        assert_eq!(told, 1, "{events:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_connected_cannot_be_synced() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let answer = client.for_github(CommandKind::Sync).await;
        refused(&answer, "not_connected");
        assert_eq!(answer["lastSynced"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn a_link_that_the_platform_no_longer_accepts_becomes_an_error_until_it_is_linked_anew() {
    with_github(async |mut world, github| {
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        let synced = client.for_github(CommandKind::Sync).await;
        github.deauthorize("ada");

        let answer = client.for_github(CommandKind::Sync).await;
        let sentence = refused(&answer, "oauth_failed");
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
async fn a_platform_that_asks_to_wait_leaves_the_account_as_it_was() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 77,
        };
        github.fault(Route::Profile, wait);
        let answer = client.for_github(CommandKind::Sync).await;
        refused(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
        for expected in ["connected", "syncing", "connected"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_is_away_becomes_the_accounts_error() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        github.fault(Route::Profile, status(503));
        refused(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
        for expected in ["connected", "syncing", "error"] {
            assert_eq!(client.status().await.0, expected);
        }
    })
    .await;
}

/// The scripted platform never answers a sync, so one that is answered has not called it.
#[tokio::test]
async fn an_account_without_tokens_is_synced_and_ended_without_a_call() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect(Scripted::TELLS).await);
    assert_eq!(client.status().await.0, "connected");

    let answer = client.for_github(CommandKind::Sync).await;
    succeeded(&answer);
    assert_eq!(answer["data"]["profile"]["username"], "ada");
    assert_eq!(client.status().await.0, "syncing");
    let (status, metadata) = client.status().await;
    assert_eq!(
        (status.as_str(), &metadata["lastSynced"]),
        ("connected", &answer["lastSynced"])
    );

    succeeded(&client.for_github(CommandKind::Disconnect).await);
    assert_eq!(client.status().await.0, "disconnected");
    let queued = world
        .store
        .lease_tasks(&WorkerId::new("w").unwrap(), &capacity_for(9), Duration::from_secs(1))
        .await;
    assert!(queued.unwrap().is_empty());
}
