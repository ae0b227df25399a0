//! Tokens that end, and syncs that nobody asks for.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::json;
use testkit::wait;

use crate::client::{Client, DEADLINE, refused, succeeded};
use crate::rotating::{Fails, Rotating};
use crate::world::World;
use worker::Running;

/// Worker and client, with an account that is synced on command only.
async fn linked() -> (Arc<Rotating>, World, Running, Client) {
    linked_at(Rotating::synced_on_command()).await
}

/// Worker and client, with an account at `platform`.
async fn linked_at(platform: Rotating) -> (Arc<Rotating>, World, Running, Client) {
    let platform = Arc::new(platform);
    let world = World::rotating(Arc::clone(&platform));
    let worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("code").await);
    assert_eq!(client.status().await.0, "connected");
    assert_eq!(client.alert().await["type"], "account_linked");
    (platform, world, worker, client)
}

/// Waits until so many syncs have reached the platform.
async fn synced(platform: &Rotating, count: u32) {
    wait::until_true("a sync", DEADLINE, async || platform.syncs() >= count).await;
}

#[tokio::test]
async fn an_account_is_synced_when_it_is_due_and_nobody_is_told_that_nothing_changed() {
    let platform = Rotating::synced_every(Duration::from_secs(60));
    let (platform, world, _worker, mut client) = linked_at(platform).await;
    assert_eq!(platform.syncs(), 0);
    for count in 1..4 {
        world.clock.advance(Duration::from_secs(70));
        synced(&platform, count).await;
        world
            .counted("postern_worker_syncs_total", &["\"ok\""], count.into())
            .await;
    }
    client.assert_no_event();
    let listed = client.ask(CommandKind::List, json!({})).await;
    assert_eq!(listed["accounts"][0]["status"], "connected");
    assert!(listed["accounts"][0]["lastSynced"].is_string(), "{listed}");
}

#[tokio::test]
async fn tokens_near_their_end_are_replaced_by_a_sync_each_sent_once() {
    let (platform, world, _worker, mut client) = linked().await;
    for _ in 0..3 {
        world.clock.advance(Rotating::LASTS);
        succeeded(&client.for_github(CommandKind::Sync).await);
    }
    assert_eq!(platform.sends(), (1, 3));
}

#[tokio::test]
async fn an_access_token_that_is_refused_too_early_is_replaced() {
    let (platform, _world, _worker, mut client) = linked().await;
    platform.end_access();
    succeeded(&client.for_github(CommandKind::Sync).await);
    assert_eq!(platform.sends(), (1, 1));
}

#[tokio::test]
async fn a_refused_refresh_is_told_once_and_the_platform_left_alone_until_the_account_is_linked_anew() {
    let (platform, world, _worker, mut client) = linked().await;
    platform.deauthorize();
    let sentence = refused(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!(client.status().await.0, "syncing");
    let (status, metadata) = client.status().await;
    assert_eq!(
        (status.as_str(), &metadata["errorMessage"]),
        ("error", &json!(sentence))
    );
    let alert = client.alert().await;
    assert_eq!(
        (&alert["type"], &alert["requiresAction"]),
        (&json!("token_expired"), &json!(true))
    );

    let (sends, syncs) = (platform.sends(), platform.syncs());
    refused(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    world.clock.advance(Duration::from_secs(3_600));
    refused(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!((platform.sends(), platform.syncs()), (sends, syncs));
    client.assert_no_event();

    succeeded(&client.connect("another code").await);
    succeeded(&client.for_github(CommandKind::Sync).await);
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_is_sent_once_more_and_the_loss_is_told() {
    let (platform, world, _worker, mut client) = linked().await;
    world.clock.advance(Rotating::LASTS);
    platform.fail(Fails::Dropped);
    refused(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!(client.alert().await["type"], "token_expired");
    assert_eq!(platform.sends(), (2, 1));
}

#[tokio::test]
async fn two_refreshes_without_an_answer_are_the_end_and_there_is_no_third() {
    let (platform, world, _worker, mut client) = linked().await;
    world.clock.advance(Rotating::LASTS);
    platform.fail(Fails::Silent);
    platform.fail(Fails::Silent);
    refused(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!(client.alert().await["type"], "refresh_failed");
    assert_eq!(platform.sends(), (2, 1));
}

#[tokio::test]
async fn a_refresh_that_was_not_sent_does_not_count() {
    let (platform, world, _worker, mut client) = linked().await;
    world.clock.advance(Rotating::LASTS);
    for _ in 0..5 {
        platform.fail(Fails::NotSent);
        refused(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    }
    succeeded(&client.for_github(CommandKind::Sync).await);
    assert_eq!(platform.sends(), (1, 1));
}

#[tokio::test]
async fn a_platform_that_asks_to_wait_is_not_asked_before_and_the_client_is_told_how_long() {
    let (platform, world, _worker, mut client) = linked().await;
    world.clock.advance(Rotating::LASTS);
    platform.fail(Fails::Throttled(Duration::from_secs(77)));
    for _ in 0..3 {
        let answer = client.for_github(CommandKind::Sync).await;
        refused(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
    }
    assert_eq!((platform.sends(), platform.syncs()), ((0, 0), 0));
    world.clock.advance(Duration::from_secs(78));
    succeeded(&client.for_github(CommandKind::Sync).await);
}
