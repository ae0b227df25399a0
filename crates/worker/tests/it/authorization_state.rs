//! The state of `account:authorize`: binding to user, session, platform and redirect URI, and single use.

use protocol::command::CommandKind;
use serde_json::json;
use simulator::Route;
use worker::ConnectState;

use crate::client::{Client, REDIRECT_URI, assert_error, assert_success, connect, with_field};
use crate::env::with_github;

/// Starts an authorization and returns its state.
async fn authorize_state(client: &mut Client) -> String {
    let answer = client.authorize().await;
    assert_success(&answer);
    answer["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn state_of_another_user_is_refused() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let state = authorize_state(&mut env.client("victim", "s").await).await;
        let mut attacker = env.client("attacker", "s").await;
        let stolen = with_field(connect("test_code_ada"), "state", state);
        assert_error(&attacker.ask(CommandKind::Connect, stolen).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn state_of_another_session_is_refused() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let state = authorize_state(&mut env.client("u", "s").await).await;
        let mut other_session = env.client("u", "t").await;
        let moved = with_field(connect("test_code_ada"), "state", state);
        assert_error(&other_session.ask(CommandKind::Connect, moved).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn state_of_another_platform_is_refused() {
    with_github(async |mut env, github| {
        env.offer_discord();
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let state = authorize_state(&mut client).await;
        let at_discord =
            json!({"accountType": "discord", "oauthCode": "any", "redirectUri": REDIRECT_URI, "state": state});
        assert_error(&client.ask(CommandKind::Connect, at_discord).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn state_with_another_redirect_uri_is_refused() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let state = authorize_state(&mut client).await;
        let elsewhere = with_field(connect("test_code_ada"), "redirectUri", "http://localhost:3000/other");
        let answer = client
            .ask(CommandKind::Connect, with_field(elsewhere, "state", state))
            .await;
        assert!(assert_error(&answer, "bad_request").starts_with("redirectUri"));
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn state_is_accepted_by_connect_once() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let state = authorize_state(&mut client).await;
        let first = with_field(connect("test_code_ada"), "state", state.clone());
        assert_success(&client.ask(CommandKind::Connect, first).await);
        let second = with_field(connect("test_code_eve"), "state", state);
        assert_error(&client.ask(CommandKind::Connect, second).await, "oauth_failed");
        assert_eq!(github.exchanges("test_code_eve"), 0);
    })
    .await;
}

#[tokio::test]
async fn state_is_used_up_by_a_refused_connect() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let state = authorize_state(&mut client).await;
        let elsewhere = with_field(connect("test_code_ada"), "redirectUri", "http://localhost:3000/other");
        let answer = client
            .ask(CommandKind::Connect, with_field(elsewhere, "state", state.clone()))
            .await;
        assert_error(&answer, "bad_request");
        let fitting = with_field(connect("test_code_ada"), "state", state);
        assert_error(&client.ask(CommandKind::Connect, fitting).await, "oauth_failed");
    })
    .await;
}

#[tokio::test]
async fn connect_without_state_is_refused_while_authorization_is_pending() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_session = env.client("u", "t").await;
        let state = authorize_state(&mut client).await;

        let answer = client.connect("test_code_ada").await;
        assert!(assert_error(&answer, "bad_request").starts_with("state"));
        assert_success(&other_session.connect("test_code_ada").await);

        let with_state = with_field(connect("test_code_eve"), "state", state);
        assert_error(&client.ask(CommandKind::Connect, with_state).await, "already_connected");
        assert_error(&client.connect("test_code_bob").await, "already_connected");
    })
    .await;
}

#[tokio::test]
async fn newer_authorization_stays_pending_when_older_is_used() {
    with_github(async |env, _| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let older = authorize_state(&mut client).await;
        authorize_state(&mut client).await;
        let first = with_field(connect("test_code_ada"), "state", older);
        assert_success(&client.ask(CommandKind::Connect, first).await);
        assert_error(&client.connect("test_code_eve").await, "bad_request");
    })
    .await;
}

#[tokio::test]
async fn sixth_authorization_replaces_only_the_oldest_state() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut first_session = env.client("u", "first").await;
        let mut client = env.client("u", "s").await;
        let oldest = authorize_state(&mut first_session).await;
        let second = authorize_state(&mut client).await;
        for _ in 0..4 {
            authorize_state(&mut client).await;
        }
        let replaced = with_field(connect("test_code_ada"), "state", oldest);
        assert_error(&first_session.ask(CommandKind::Connect, replaced).await, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
        let kept = with_field(connect("test_code_ada"), "state", second);
        assert_success(&client.ask(CommandKind::Connect, kept).await);

        // The first session has no pending authorization any more, so it need not send a state.
        assert_error(&first_session.connect("test_code_eve").await, "already_connected");
    })
    .await;
}

#[tokio::test]
async fn required_state_refuses_connect_without_state() {
    with_github(async |mut env, github| {
        env.settings.connect_state = ConnectState::Required;
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let answer = client.connect("test_code_ada").await;
        assert!(assert_error(&answer, "bad_request").starts_with("state"));
        assert_eq!(github.requests(Route::Token), 0);

        let state = authorize_state(&mut client).await;
        let with_state = with_field(connect("test_code_ada"), "state", state);
        assert_success(&client.ask(CommandKind::Connect, with_state).await);
    })
    .await;
}
