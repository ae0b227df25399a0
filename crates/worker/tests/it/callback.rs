//! The hosted callback: its grant waits as a pending link until the user confirms it.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback, ConfirmLink, PendingLinkPage};
use protocol::cluster::job::{JobOutcome, Work};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::{Value, json};
use simulator::{Extent, Route};
use worker::RedirectPolicy;

use crate::client::{Client, REDIRECT_URI, assert_error, assert_success};
use crate::env::{SimulatedGithub, TestEnv, with_github};

/// Redirect URI of the hosted callback in these tests.
pub(crate) const HOSTED_REDIRECT_URI: &str = "https://postern.example/oauth/callback/github";

/// Configures a public URL, which enables the hosted callback.
pub(crate) fn host_callback(env: &mut TestEnv) {
    env.settings.redirects = RedirectPolicy::standard(Some(&"https://postern.example".parse().unwrap()));
}

/// Authorizes at the simulated platform as the user's browser does, and builds the callback from the redirect.
pub(crate) async fn authorize_and_return(
    client: &mut Client,
    github: &SimulatedGithub,
    redirect_uri: &str,
) -> Callback {
    let asked = json!({"accountType": "github", "redirectUri": redirect_uri});
    let authorized = client.ask(CommandKind::Authorize, asked).await;
    assert_success(&authorized);
    let query = github.visit(authorized["authorizationUrl"].as_str().unwrap()).await;
    let named = |name: &str| query.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    Callback {
        account: AccountType::Github,
        state: Secret::new(named("state").unwrap()),
        issuer: named("iss").cloned(),
        response: AuthorizationResponse::Code(Secret::new(named("code").unwrap())),
    }
}

pub(crate) async fn send_callback(client: &mut Client, callback: &Callback) -> JobOutcome {
    let job = client.work(Work::Callback(callback.clone()));
    client.submit(&job).await;
    client.outcome(&job).await
}

/// Creates a pending link.
pub(crate) async fn pending_link(client: &mut Client, github: &SimulatedGithub) -> PendingLinkPage {
    let callback = authorize_and_return(client, github, HOSTED_REDIRECT_URI).await;
    send_callback(client, &callback).await.data.read().unwrap()
}

/// Confirmation of a pending link.
pub(crate) fn confirm_link(pending_link: &PendingLinkPage) -> ConfirmLink {
    ConfirmLink {
        account: pending_link.account.account_type,
        token: pending_link.token.clone(),
        cookie: pending_link.cookie.clone(),
    }
}

pub(crate) async fn confirm(client: &mut Client, confirm_link: ConfirmLink) -> Value {
    let job = client.work(Work::ConfirmLink(confirm_link));
    client.submit(&job).await;
    client.answer(&job).await
}

async fn accounts(client: &mut Client) -> Value {
    client.ask(CommandKind::List, json!({})).await["accounts"].clone()
}

/// Next `account:connect_response` that the session receives without a command of its own.
async fn connect_response(client: &mut Client) -> Value {
    loop {
        let (name, data) = client.event().await;
        if name == "account:connect_response" {
            return data;
        }
    }
}

#[tokio::test]
async fn callback_links_account_only_after_confirmation() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let pending_link = pending_link(&mut client, &github).await;
        assert_eq!(pending_link.account.username, simulator::DEFAULT_LOGIN);
        assert_eq!(pending_link.expires_in, 300);
        assert_eq!(accounts(&mut client).await, json!([]));
        client.assert_no_event();

        let answer = confirm(&mut client, confirm_link(&pending_link)).await;
        assert_success(&answer);
        assert_eq!(answer["account"]["username"], simulator::DEFAULT_LOGIN);
        assert_eq!(client.status().await.0, "connected");
        let alert = client.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(false))
        );
        assert_eq!(connect_response(&mut client).await, answer);
        assert_success(&client.for_github(CommandKind::Sync).await);

        assert_error(
            &confirm(&mut client, confirm_link(&pending_link)).await,
            "confirmation_invalid",
        );
        assert!(github.revoked_grants().is_empty());
    })
    .await;
}

#[tokio::test]
async fn state_is_accepted_by_callback_once() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let callback = authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await;
        assert!(send_callback(&mut client, &callback).await.error.is_none());
        let again: Value = send_callback(&mut client, &callback).await.data.read().unwrap();
        assert_error(&again, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 1);
    })
    .await;
}

#[tokio::test]
async fn callback_of_other_session_platform_issuer_or_redirect_is_refused() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        env.offer_discord();
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_session = env.client("u", "t").await;

        let callback = authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await;
        let elsewhere: Value = send_callback(&mut other_session, &callback).await.data.read().unwrap();
        assert_error(&elsewhere, "oauth_failed");

        let of_github = authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await;
        let at_discord = Callback {
            account: AccountType::Discord,
            ..of_github
        };
        let mixed_up: Value = send_callback(&mut client, &at_discord).await.data.read().unwrap();
        assert_error(&mixed_up, "oauth_failed");

        let from_elsewhere = Callback {
            issuer: Some("https://github.com".to_owned()),
            ..authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await
        };
        let mixed_up: Value = send_callback(&mut client, &from_elsewhere).await.data.read().unwrap();
        assert_error(&mixed_up, "oauth_failed");
        assert_eq!(connect_response(&mut client).await, mixed_up);

        let for_the_application = authorize_and_return(&mut client, &github, REDIRECT_URI).await;
        let other_redirect: Value = send_callback(&mut client, &for_the_application)
            .await
            .data
            .read()
            .unwrap();
        assert_error(&other_redirect, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn confirmation_without_token_or_cookie_of_its_session_is_refused() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_session = env.client("u", "t").await;
        let mut other_user = env.client("v", "s").await;
        let pending_link = pending_link(&mut client, &github).await;

        for other in [&mut other_session, &mut other_user] {
            assert_error(
                &confirm(other, confirm_link(&pending_link)).await,
                "confirmation_invalid",
            );
        }
        let wrong = Secret::new("wrong");
        for wrong in [
            ConfirmLink {
                token: wrong.clone(),
                ..confirm_link(&pending_link)
            },
            ConfirmLink {
                cookie: wrong,
                ..confirm_link(&pending_link)
            },
            ConfirmLink {
                token: pending_link.cookie.clone(),
                cookie: pending_link.token.clone(),
                ..confirm_link(&pending_link)
            },
            ConfirmLink {
                account: AccountType::Discord,
                ..confirm_link(&pending_link)
            },
        ] {
            assert_error(&confirm(&mut client, wrong).await, "confirmation_invalid");
        }
        assert_eq!(accounts(&mut client).await, json!([]));
        assert_success(&confirm(&mut client, confirm_link(&pending_link)).await);
    })
    .await;
}

#[tokio::test]
async fn denied_authorization_reports_oauth_denied_to_session_and_status() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let denied = Callback {
            response: AuthorizationResponse::Denied,
            ..authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await
        };
        let answer: Value = send_callback(&mut client, &denied).await.data.read().unwrap();
        assert_error(&answer, "oauth_denied");
        let mut events = [client.event().await, client.event().await];
        events.sort_by(|(one, _), (other, _)| one.cmp(other));
        let [(_, response), (_, status)] = events;
        assert_eq!(response, answer);
        assert_eq!(status["status"], "error");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn unconfirmed_link_is_revoked_after_five_minutes() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let late = pending_link(&mut client, &github).await;
        env.clock.advance(Duration::from_secs(299));
        let in_time = pending_link(&mut client, &github).await;
        // The worker that stored the link is gone; another one finds it expired.
        worker.drain(Duration::from_secs(5)).await;
        env.clock.advance(Duration::from_secs(1));
        let _worker = env.worker().await;
        let login = Some(simulator::DEFAULT_LOGIN.to_owned());
        // The account has two grants, and the other one may still be confirmed: only the token is revoked.
        assert_eq!(github.revocations(1).await, [(Extent::Token, login)]);
        assert_error(&confirm(&mut client, confirm_link(&late)).await, "confirmation_invalid");
        assert_success(&confirm(&mut client, confirm_link(&in_time)).await);
        assert_success(&client.for_github(CommandKind::Sync).await);
    })
    .await;
}

#[tokio::test]
async fn confirmation_after_other_account_was_linked_revokes_the_new_grant() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_session = env.client("u", "t").await;
        let pending_link = pending_link(&mut client, &github).await;
        assert_success(&other_session.connect("test_code_eve").await);
        let answer = confirm(&mut client, confirm_link(&pending_link)).await;
        assert_error(&answer, "already_connected");
        assert_eq!(connect_response(&mut client).await, answer);
        let login = Some(simulator::DEFAULT_LOGIN.to_owned());
        assert_eq!(github.revocations(1).await, [(Extent::Grant, login)]);
        assert_eq!(github.logins_with_tokens(), ["eve"]);
    })
    .await;
}

#[tokio::test]
async fn pending_link_is_revoked_by_revoke_all() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_device = env.client("u", "t").await;
        let pending_link = pending_link(&mut client, &github).await;
        let open = authorize_and_return(&mut client, &github, HOSTED_REDIRECT_URI).await;
        let confirmation = other_device.confirmation().await;
        let revoked = other_device.revoke_all(&confirmation).await;
        assert_success(&revoked);
        assert_eq!(revoked["accountsDisconnected"], 0);
        github.revocations(1).await;
        assert_error(
            &confirm(&mut client, confirm_link(&pending_link)).await,
            "confirmation_invalid",
        );

        let authorized_before: Value = send_callback(&mut client, &open).await.data.read().unwrap();
        assert_error(&authorized_before, "conflict");
        github.revocations(2).await;
        assert!(github.logins_with_tokens().is_empty());
        assert_eq!(accounts(&mut client).await, json!([]));
    })
    .await;
}
