//! `account:connect`.

use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::json;
use simulator::{Extent, Kind, Limit, Route};

use crate::client::{REDIRECT_URI, assert_error, assert_success, connect, with_field};
use crate::env::{status, with_github, without_github};

#[tokio::test]
async fn authorized_code_links_account_and_notifies_all_devices() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("GEN-001", "s").await;
        let mut other_device = env.client("GEN-001", "t").await;

        let authorize = client.authorize().await;
        assert_success(&authorize);
        assert_eq!(authorize["expiresIn"], 600);
        let back = github.visit(authorize["authorizationUrl"].as_str().unwrap()).await;
        let value = |name: &str| back.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(authorize["state"], value("state"));

        let code = value("code");
        let answer = client
            .ask(
                CommandKind::Connect,
                with_field(connect(&code), "state", value("state")),
            )
            .await;
        assert_success(&answer);
        assert_eq!(answer["account"]["username"], "octocat");
        assert_eq!(answer["account"]["status"], "connected");
        assert_eq!(answer["account"]["scopes"], json!(["notifications", "read:user"]));
        assert_eq!(other_device.status().await.0, "connected");
        assert_eq!(client.status().await.0, "connected");

        let listed = other_device.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([answer["account"]]));
        assert_eq!(github.exchanges(&code), 1);
    })
    .await;
}

#[tokio::test]
async fn connect_without_state_links_account() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let answer = client.connect("test_code_ada").await;
        assert_success(&answer);
        assert_eq!(answer["account"]["username"], "ada");
    })
    .await;
}

#[tokio::test]
async fn code_presented_again_is_refused_without_exchange() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_user = env.client("v", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        assert_error(&client.connect("test_code_ada").await, "oauth_failed");
        assert_error(&other_user.connect("test_code_ada").await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn relinked_account_keeps_connected_at_and_last_synced() {
    with_github(async |mut env, _| {
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let first = client.connect("test_code_ada").await;
        let synced = client.for_github(CommandKind::Sync).await;
        assert_success(&synced);

        env.clock.advance(Duration::from_secs(3_600));
        let again = client.connect("test_code_ada").await;
        assert_success(&again);
        assert_eq!(again["account"]["connectedAt"], first["account"]["connectedAt"]);
        assert_eq!(again["account"]["lastSynced"], synced["lastSynced"]);
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([again["account"]]));
    })
    .await;
}

#[tokio::test]
async fn second_account_of_platform_is_refused_and_its_grant_revoked() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        assert_error(&client.connect("test_code_eve").await, "already_connected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("eve".to_owned()))]);
        assert_eq!(github.logins_with_tokens(), ["ada"]);
        client.assert_no_event();
    })
    .await;
}

#[tokio::test]
async fn refused_code_sets_account_error_on_all_devices() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let sentence = assert_error(&client.connect("never issued").await, "oauth_failed");
        let (status, metadata) = client.status().await;
        assert_eq!(
            (status.as_str(), &metadata["errorMessage"]),
            ("error", &json!(sentence))
        );
    })
    .await;
}

#[tokio::test]
async fn failed_relink_leaves_status_of_working_link() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        assert_error(&client.connect("never issued").await, "oauth_failed");
        client.for_github(CommandKind::Disconnect).await;
        assert_eq!(client.status().await.0, "disconnected");
    })
    .await;
}

#[tokio::test]
async fn exchange_without_response_is_not_repeated() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Token, Kind::DropResponse);
        assert_error(&client.connect("test_code_ada").await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
        assert_eq!(client.status().await.0, "error");
    })
    .await;
}

#[tokio::test]
async fn connect_to_unreachable_platform_reports_platform_unavailable() {
    let env = without_github().await;
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let sentence = assert_error(&client.connect("test_code_ada").await, "platform_unavailable");
    assert!(sentence.contains("start again"), "{sentence}");
    assert_eq!(client.status().await.0, "error");
}

#[tokio::test]
async fn throttled_connect_reports_retry_after() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 77,
        };
        github.fault(Route::Token, wait);
        let answer = client.connect("test_code_ada").await;
        assert_error(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
    })
    .await;
}

#[tokio::test]
async fn failed_profile_request_is_retried_once() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Profile, status(503));
        assert_success(&client.connect("test_code_ada").await);
    })
    .await;
}

#[tokio::test]
async fn tokens_without_profile_are_revoked() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        github.fault(Route::Profile, status(503));
        github.fault(Route::Profile, status(503));
        assert_error(&client.connect("test_code_ada").await, "platform_unavailable");
        assert_eq!(client.status().await.0, "error");
        assert_eq!(github.revocations(1).await, [(Extent::Token, Some("ada".to_owned()))]);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

#[tokio::test]
async fn unconfigured_platform_reports_not_supported() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let discord = json!({"accountType": "discord", "redirectUri": REDIRECT_URI, "oauthCode": "test_code_ada"});
        for kind in [CommandKind::Authorize, CommandKind::Connect, CommandKind::Sync] {
            assert_error(&client.ask(kind, discord.clone()).await, "not_supported");
        }
    })
    .await;
}

#[tokio::test]
async fn unlisted_redirect_uri_is_refused_by_field_name() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let elsewhere = with_field(connect("test_code_ada"), "redirectUri", "https://evil.example/");
        for kind in [CommandKind::Authorize, CommandKind::Connect] {
            let sentence = assert_error(&client.ask(kind, elsewhere.clone()).await, "bad_request");
            assert!(sentence.starts_with("redirectUri"), "{sentence}");
            assert!(
                sentence.contains("http://localhost with any port and path"),
                "{sentence}"
            );
        }
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}
