//! The state of `account:authorize`: whose it is, and how often it counts.

use protocol::command::CommandKind;
use serde_json::json;
use simulator::Route;
use worker::ConnectState;

use crate::client::{BACK, Client, connect, refused, succeeded, with};
use crate::world::with_github;

/// Begins an authorization and gives its state.
async fn begun(client: &mut Client) -> String {
    let answer = client.authorize().await;
    succeeded(&answer);
    answer["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_state_counts_for_the_user_it_was_issued_to() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let state = begun(&mut world.client("victim", "s").await).await;
        let mut attacker = world.client("attacker", "s").await;
        let stolen = with(connect("test_code_ada"), "state", state);
        refused(&attacker.ask(CommandKind::Connect, stolen).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_counts_for_the_session_it_was_issued_to() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let state = begun(&mut world.client("u", "s").await).await;
        let mut other_session = world.client("u", "t").await;
        let moved = with(connect("test_code_ada"), "state", state);
        refused(&other_session.ask(CommandKind::Connect, moved).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_counts_for_the_platform_it_was_issued_for() {
    with_github(async |mut world, github| {
        world.offer_discord();
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let state = begun(&mut client).await;
        let at_discord = json!({"accountType": "discord", "oauthCode": "any", "redirectUri": BACK, "state": state});
        refused(&client.ask(CommandKind::Connect, at_discord).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_counts_for_the_redirect_uri_it_was_issued_for() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let state = begun(&mut client).await;
        let elsewhere = with(connect("test_code_ada"), "redirectUri", "http://localhost:3000/other");
        let answer = client.ask(CommandKind::Connect, with(elsewhere, "state", state)).await;
        assert!(refused(&answer, "bad_request").starts_with("redirectUri"));
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_counts_once() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let state = begun(&mut client).await;
        let first = with(connect("test_code_ada"), "state", state.clone());
        succeeded(&client.ask(CommandKind::Connect, first).await);
        let second = with(connect("test_code_eve"), "state", state);
        refused(&client.ask(CommandKind::Connect, second).await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_eve"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_state_is_used_up_by_a_connect_that_does_not_fit_it() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let state = begun(&mut client).await;
        let elsewhere = with(connect("test_code_ada"), "redirectUri", "http://localhost:3000/other");
        let answer = client
            .ask(CommandKind::Connect, with(elsewhere, "state", state.clone()))
            .await;
        refused(&answer, "bad_request");
        let fitting = with(connect("test_code_ada"), "state", state);
        refused(&client.ask(CommandKind::Connect, fitting).await, "oauth_failed");
    })
    .await;
}

#[tokio::test]
async fn while_an_authorization_is_open_its_session_must_bring_the_state() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_session = world.client("u", "t").await;
        let state = begun(&mut client).await;

        let answer = client.connect("test_code_ada").await;
        assert!(refused(&answer, "bad_request").starts_with("state"));
        succeeded(&other_session.connect("test_code_ada").await);

        let with_state = with(connect("test_code_eve"), "state", state);
        refused(&client.ask(CommandKind::Connect, with_state).await, "already_connected");
        refused(&client.connect("test_code_bob").await, "already_connected");
    })
    .await;
}

#[tokio::test]
async fn the_newer_of_two_authorizations_stays_open_when_the_older_is_used() {
    with_github(async |world, _| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let older = begun(&mut client).await;
        begun(&mut client).await;
        let first = with(connect("test_code_ada"), "state", older);
        succeeded(&client.ask(CommandKind::Connect, first).await);
        refused(&client.connect("test_code_eve").await, "bad_request");
    })
    .await;
}

#[tokio::test]
async fn a_sixth_authorization_makes_the_oldest_state_unknown_and_no_other() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut first_session = world.client("u", "first").await;
        let mut client = world.client("u", "s").await;
        let oldest = begun(&mut first_session).await;
        let second = begun(&mut client).await;
        for _ in 0..4 {
            begun(&mut client).await;
        }
        let replaced = with(connect("test_code_ada"), "state", oldest);
        refused(&first_session.ask(CommandKind::Connect, replaced).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
        let kept = with(connect("test_code_ada"), "state", second);
        succeeded(&client.ask(CommandKind::Connect, kept).await);

        // Nothing is open in the first session any more, so it need not bring a state.
        refused(&first_session.connect("test_code_eve").await, "already_connected");
    })
    .await;
}

#[tokio::test]
async fn an_operator_may_require_the_state_always() {
    with_github(async |mut world, github| {
        world.settings.connect_state = ConnectState::Required;
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let answer = client.connect("test_code_ada").await;
        assert!(refused(&answer, "bad_request").starts_with("state"));
        assert_eq!(github.requests(Route::Token), 0);

        let state = begun(&mut client).await;
        let with_state = with(connect("test_code_ada"), "state", state);
        succeeded(&client.ask(CommandKind::Connect, with_state).await);
    })
    .await;
}
