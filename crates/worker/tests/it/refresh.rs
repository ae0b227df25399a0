//! Refresh of tokens, and scheduled syncs.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::json;
use testkit::wait;

use crate::client::{Client, DEADLINE, assert_error, assert_success};
use crate::env::TestEnv;
use crate::rotating_platform::{RefreshFault, RotatingPlatform};
use worker::Running;

/// Worker and client, with an account that is synced on command only.
async fn linked() -> (Arc<RotatingPlatform>, TestEnv, Running, Client) {
    linked_at(RotatingPlatform::synced_on_command()).await
}

/// Worker and client, with an account at `platform`.
async fn linked_at(platform: RotatingPlatform) -> (Arc<RotatingPlatform>, TestEnv, Running, Client) {
    let platform = Arc::new(platform);
    let env = TestEnv::rotating(Arc::clone(&platform));
    let worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("code").await);
    assert_eq!(client.status().await.0, "connected");
    assert_eq!(client.alert().await["type"], "account_linked");
    (platform, env, worker, client)
}

/// Waits until this number of syncs has reached the platform.
async fn synced(platform: &RotatingPlatform, count: u32) {
    wait::until_true("a sync", DEADLINE, async || platform.syncs() >= count).await;
}

#[tokio::test]
async fn due_account_is_synced_without_event_when_nothing_changed() {
    let platform = RotatingPlatform::synced_every(Duration::from_secs(60));
    let (platform, env, _worker, mut client) = linked_at(platform).await;
    assert_eq!(platform.syncs(), 0);
    for count in 1..4 {
        env.clock.advance(Duration::from_secs(70));
        synced(&platform, count).await;
        env.wait_for_count("postern_worker_syncs_total", &["\"ok\""], count.into())
            .await;
    }
    client.assert_no_event();
    let listed = client.ask(CommandKind::List, json!({})).await;
    assert_eq!(listed["accounts"][0]["status"], "connected");
    assert!(listed["accounts"][0]["lastSynced"].is_string(), "{listed}");
}

#[tokio::test]
async fn expiring_tokens_are_refreshed_by_sync_and_each_is_sent_once() {
    let (platform, env, _worker, mut client) = linked().await;
    for _ in 0..3 {
        env.clock.advance(RotatingPlatform::LASTS);
        assert_success(&client.for_github(CommandKind::Sync).await);
    }
    assert_eq!(platform.sends(), (1, 3));
}

#[tokio::test]
async fn refused_access_token_is_refreshed() {
    let (platform, _world, _worker, mut client) = linked().await;
    platform.end_access();
    assert_success(&client.for_github(CommandKind::Sync).await);
    assert_eq!(platform.sends(), (1, 1));
}

#[tokio::test]
async fn refused_refresh_raises_one_alert_and_stops_syncs_until_relink() {
    let (platform, env, _worker, mut client) = linked().await;
    platform.deauthorize();
    let sentence = assert_error(&client.for_github(CommandKind::Sync).await, "oauth_failed");
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
    assert_error(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    env.clock.advance(Duration::from_secs(3_600));
    assert_error(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!((platform.sends(), platform.syncs()), (sends, syncs));
    client.assert_no_event();

    assert_success(&client.connect("another code").await);
    assert_success(&client.for_github(CommandKind::Sync).await);
}

#[tokio::test]
async fn refresh_with_lost_response_is_repeated_once_then_raises_alert() {
    let (platform, env, _worker, mut client) = linked().await;
    env.clock.advance(RotatingPlatform::LASTS);
    platform.fail(RefreshFault::Dropped);
    assert_error(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!(client.alert().await["type"], "token_expired");
    assert_eq!(platform.sends(), (2, 1));
}

#[tokio::test]
async fn two_refreshes_without_response_end_the_link() {
    let (platform, env, _worker, mut client) = linked().await;
    env.clock.advance(RotatingPlatform::LASTS);
    platform.fail(RefreshFault::Silent);
    platform.fail(RefreshFault::Silent);
    assert_error(&client.for_github(CommandKind::Sync).await, "oauth_failed");
    assert_eq!(client.alert().await["type"], "refresh_failed");
    assert_eq!(platform.sends(), (2, 1));
}

#[tokio::test]
async fn unsent_refresh_is_not_counted() {
    let (platform, env, _worker, mut client) = linked().await;
    env.clock.advance(RotatingPlatform::LASTS);
    platform.be_unreachable(true);
    for _ in 0..5 {
        assert_error(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    }
    platform.be_unreachable(false);
    assert_success(&client.for_github(CommandKind::Sync).await);
    assert_eq!(platform.sends(), (1, 1));
}

#[tokio::test]
async fn throttled_refresh_is_not_repeated_before_retry_after() {
    let (platform, env, _worker, mut client) = linked().await;
    env.clock.advance(RotatingPlatform::LASTS);
    platform.fail(RefreshFault::Throttled(Duration::from_secs(77)));
    for _ in 0..3 {
        let answer = client.for_github(CommandKind::Sync).await;
        assert_error(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
    }
    assert_eq!((platform.sends(), platform.syncs()), ((0, 0), 0));
    env.clock.advance(Duration::from_secs(78));
    assert_success(&client.for_github(CommandKind::Sync).await);
}
