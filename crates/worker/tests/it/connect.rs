//! `account:connect`.

use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::json;
use simulator::{Extent, Kind, Limit, Route};

use crate::client::{BACK, connect, refused, succeeded, with};
use crate::world::{status, with_github, without_github};

#[tokio::test]
async fn an_authorized_code_becomes_a_linked_account_and_all_devices_hear_of_it() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut asking = world.client("GEN-001", "s").await;
        let mut other_device = world.client("GEN-001", "t").await;

        let authorize = asking.authorize().await;
        succeeded(&authorize);
        assert_eq!(authorize["expiresIn"], 600);
        let back = github.visit(authorize["authorizationUrl"].as_str().unwrap()).await;
        let value = |name: &str| back.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(authorize["state"], value("state"));

        let code = value("code");
        let answer = asking
            .ask(CommandKind::Connect, with(connect(&code), "state", value("state")))
            .await;
        succeeded(&answer);
        assert_eq!(answer["account"]["username"], "octocat");
        assert_eq!(answer["account"]["status"], "connected");
        assert_eq!(answer["account"]["scopes"], json!(["notifications", "read:user"]));
        assert_eq!(other_device.status().await.0, "connected");
        assert_eq!(asking.status().await.0, "connected");

        let listed = other_device.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([answer["account"]]));
        assert_eq!(github.exchanges(&code), 1);
    })
    .await;
}

#[tokio::test]
async fn an_application_may_run_the_authorization_itself() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let answer = client.connect("test_code_ada").await;
        succeeded(&answer);
        assert_eq!(answer["account"]["username"], "ada");
    })
    .await;
}

#[tokio::test]
async fn a_code_is_exchanged_once_whoever_presents_it_again() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut somebody_else = world.client("v", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        refused(&client.connect("test_code_ada").await, "oauth_failed");
        refused(&somebody_else.connect("test_code_ada").await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
    })
    .await;
}

#[tokio::test]
async fn the_same_account_linked_again_keeps_its_beginning_and_its_last_sync() {
    with_github(async |mut world, _| {
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let first = client.connect("test_code_ada").await;
        let synced = client.for_github(CommandKind::Sync).await;
        succeeded(&synced);

        world.clock.advance(Duration::from_secs(3_600));
        let again = client.connect("test_code_ada").await;
        succeeded(&again);
        assert_eq!(again["account"]["connectedAt"], first["account"]["connectedAt"]);
        assert_eq!(again["account"]["lastSynced"], synced["lastSynced"]);
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([again["account"]]));
    })
    .await;
}

#[tokio::test]
async fn another_account_of_the_platform_is_refused_and_its_grant_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        refused(&client.connect("test_code_eve").await, "already_connected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("eve".to_owned()))]);
        assert_eq!(github.logins_with_tokens(), ["ada"]);
        client.assert_no_event();
    })
    .await;
}

#[tokio::test]
async fn a_refused_code_is_the_accounts_error_on_all_devices() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let sentence = refused(&client.connect("never issued").await, "oauth_failed");
        let (status, metadata) = client.status().await;
        assert_eq!(
            (status.as_str(), &metadata["errorMessage"]),
            ("error", &json!(sentence))
        );
    })
    .await;
}

#[tokio::test]
async fn a_failed_link_is_no_news_over_a_working_one() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        assert_eq!(client.status().await.0, "connected");
        refused(&client.connect("never issued").await, "oauth_failed");
        client.for_github(CommandKind::Disconnect).await;
        assert_eq!(client.status().await.0, "disconnected");
    })
    .await;
}

#[tokio::test]
async fn an_exchange_that_is_not_answered_is_not_sent_again() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Token, Kind::DropResponse);
        refused(&client.connect("test_code_ada").await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_ada"), 1);
        assert_eq!(client.status().await.0, "error");
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_cannot_be_reached_is_told_and_the_user_starts_again() {
    let world = without_github().await;
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let sentence = refused(&client.connect("test_code_ada").await, "platform_unavailable");
    assert!(sentence.contains("start again"), "{sentence}");
    assert_eq!(client.status().await.0, "error");
}

#[tokio::test]
async fn a_platform_that_asks_to_wait_is_told_with_how_long() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let wait = Kind::Throttle {
            limit: Limit::Secondary,
            seconds: 77,
        };
        github.fault(Route::Token, wait);
        let answer = client.connect("test_code_ada").await;
        refused(&answer, "platform_rate_limited");
        assert_eq!(answer["retryAfter"], 77);
    })
    .await;
}

#[tokio::test]
async fn a_profile_is_asked_for_twice() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Profile, status(503));
        succeeded(&client.connect("test_code_ada").await);
    })
    .await;
}

#[tokio::test]
async fn tokens_whose_account_stays_unknown_are_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        github.fault(Route::Profile, status(503));
        github.fault(Route::Profile, status(503));
        refused(&client.connect("test_code_ada").await, "platform_unavailable");
        assert_eq!(client.status().await.0, "error");
        assert_eq!(github.revocations(1).await, [(Extent::Token, Some("ada".to_owned()))]);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_is_not_configured_is_not_supported() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let discord = json!({"accountType": "discord", "redirectUri": BACK, "oauthCode": "test_code_ada"});
        for kind in [CommandKind::Authorize, CommandKind::Connect, CommandKind::Sync] {
            refused(&client.ask(kind, discord.clone()).await, "not_supported");
        }
    })
    .await;
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_listed_is_refused_by_name() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let elsewhere = with(connect("test_code_ada"), "redirectUri", "https://evil.example/");
        for kind in [CommandKind::Authorize, CommandKind::Connect] {
            let sentence = refused(&client.ask(kind, elsewhere.clone()).await, "bad_request");
            assert!(sentence.starts_with("redirectUri"), "{sentence}");
        }
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}
