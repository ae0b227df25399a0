//! The hosted callback: what is granted there is parked, and linked by its user's yes alone.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback, ConfirmLink, Parked};
use protocol::cluster::job::{JobOutcome, Work};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::{Value, json};
use simulator::{Extent, Route};
use worker::RedirectPolicy;

use crate::client::{BACK, Client, refused, succeeded};
use crate::world::{AtSimulator, World, with_github};

/// Where the platforms of these tests send browsers back to.
pub(crate) const HOSTED: &str = "https://postern.example/oauth/callback/github";

/// Gives the workers of a world a public URL.
pub(crate) fn host(world: &mut World) {
    world.settings.redirects = RedirectPolicy::standard(Some(&"https://postern.example".parse().unwrap()));
}

/// Begins an authorization, and does what its user's browser does, up to our door.
pub(crate) async fn come_back(client: &mut Client, github: &AtSimulator, redirect_uri: &str) -> Callback {
    let asked = json!({"accountType": "github", "redirectUri": redirect_uri});
    let authorized = client.ask(CommandKind::Authorize, asked).await;
    succeeded(&authorized);
    let query = github.visit(authorized["authorizationUrl"].as_str().unwrap()).await;
    let named = |name: &str| query.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    Callback {
        account: AccountType::Github,
        state: Secret::new(named("state").unwrap()),
        issuer: named("iss").cloned(),
        response: AuthorizationResponse::Code(Secret::new(named("code").unwrap())),
    }
}

pub(crate) async fn call_back(client: &mut Client, callback: &Callback) -> JobOutcome {
    let job = client.work(Work::Callback(callback.clone()));
    client.submit(&job).await;
    client.outcome(&job).await
}

/// Has something parked.
pub(crate) async fn parked(client: &mut Client, github: &AtSimulator) -> Parked {
    let callback = come_back(client, github, HOSTED).await;
    call_back(client, &callback).await.data.read().unwrap()
}

/// The yes to what is parked.
pub(crate) fn yes(parked: &Parked) -> ConfirmLink {
    ConfirmLink {
        account: parked.account.account_type,
        token: parked.token.clone(),
        cookie: parked.cookie.clone(),
    }
}

pub(crate) async fn confirm(client: &mut Client, yes: ConfirmLink) -> Value {
    let job = client.work(Work::ConfirmLink(yes));
    client.submit(&job).await;
    client.answer(&job).await
}

async fn accounts(client: &mut Client) -> Value {
    client.ask(CommandKind::List, json!({})).await["accounts"].clone()
}

/// The next answer that the session hears without a command of its own.
async fn told(client: &mut Client) -> Value {
    loop {
        let (name, data) = client.event().await;
        if name == "account:connect_response" {
            return data;
        }
    }
}

#[tokio::test]
async fn what_comes_back_is_linked_by_its_users_yes_alone() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let parked = parked(&mut client, &github).await;
        assert_eq!(parked.account.username, simulator::DEFAULT_LOGIN);
        assert_eq!(parked.expires_in, 300);
        assert_eq!(accounts(&mut client).await, json!([]));
        client.assert_no_event();

        let answer = confirm(&mut client, yes(&parked)).await;
        succeeded(&answer);
        assert_eq!(answer["account"]["username"], simulator::DEFAULT_LOGIN);
        assert_eq!(client.status().await.0, "connected");
        let alert = client.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(false))
        );
        assert_eq!(told(&mut client).await, answer);
        succeeded(&client.for_github(CommandKind::Sync).await);

        refused(&confirm(&mut client, yes(&parked)).await, "confirmation_invalid");
        assert!(github.given_back().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_state_comes_back_once() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let callback = come_back(&mut client, &github, HOSTED).await;
        assert!(call_back(&mut client, &callback).await.error.is_none());
        let again: Value = call_back(&mut client, &callback).await.data.read().unwrap();
        refused(&again, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 1);
    })
    .await;
}

#[tokio::test]
async fn a_state_comes_back_in_its_own_session_to_its_own_path_and_from_its_own_issuer() {
    with_github(async |mut world, github| {
        host(&mut world);
        world.offer_discord();
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_session = world.client("u", "t").await;

        let callback = come_back(&mut client, &github, HOSTED).await;
        let elsewhere: Value = call_back(&mut other_session, &callback).await.data.read().unwrap();
        refused(&elsewhere, "oauth_failed");

        let of_github = come_back(&mut client, &github, HOSTED).await;
        let at_discord = Callback {
            account: AccountType::Discord,
            ..of_github
        };
        let mixed_up: Value = call_back(&mut client, &at_discord).await.data.read().unwrap();
        refused(&mixed_up, "oauth_failed");

        let from_elsewhere = Callback {
            issuer: Some("https://github.com".to_owned()),
            ..come_back(&mut client, &github, HOSTED).await
        };
        let mixed_up: Value = call_back(&mut client, &from_elsewhere).await.data.read().unwrap();
        refused(&mixed_up, "oauth_failed");
        assert_eq!(told(&mut client).await, mixed_up);

        let for_the_application = come_back(&mut client, &github, BACK).await;
        let not_ours: Value = call_back(&mut client, &for_the_application).await.data.read().unwrap();
        refused(&not_ours, "oauth_failed");
        assert_eq!(github.requests(Route::Token), 0);
    })
    .await;
}

#[tokio::test]
async fn nobody_but_who_has_page_and_cookie_says_yes() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_session = world.client("u", "t").await;
        let mut somebody_else = world.client("v", "s").await;
        let parked = parked(&mut client, &github).await;

        for other in [&mut other_session, &mut somebody_else] {
            refused(&confirm(other, yes(&parked)).await, "confirmation_invalid");
        }
        let wrong = Secret::new("wrong");
        for wrong in [
            ConfirmLink {
                token: wrong.clone(),
                ..yes(&parked)
            },
            ConfirmLink {
                cookie: wrong,
                ..yes(&parked)
            },
            ConfirmLink {
                token: parked.cookie.clone(),
                cookie: parked.token.clone(),
                ..yes(&parked)
            },
            ConfirmLink {
                account: AccountType::Discord,
                ..yes(&parked)
            },
        ] {
            refused(&confirm(&mut client, wrong).await, "confirmation_invalid");
        }
        assert_eq!(accounts(&mut client).await, json!([]));
        succeeded(&confirm(&mut client, yes(&parked)).await);
    })
    .await;
}

#[tokio::test]
async fn a_no_at_the_platform_is_told_to_the_session_and_as_a_status() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let denied = Callback {
            response: AuthorizationResponse::Denied,
            ..come_back(&mut client, &github, HOSTED).await
        };
        let answer: Value = call_back(&mut client, &denied).await.data.read().unwrap();
        refused(&answer, "oauth_denied");
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
async fn what_nobody_confirms_is_given_back_after_five_minutes() {
    with_github(async |mut world, github| {
        host(&mut world);
        let worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let late = parked(&mut client, &github).await;
        world.clock.advance(Duration::from_secs(299));
        let in_time = parked(&mut client, &github).await;
        // The worker that parked it is gone; another finds it.
        worker.drain(Duration::from_secs(5)).await;
        world.clock.advance(Duration::from_secs(1));
        let _worker = world.worker().await;
        let login = Some(simulator::DEFAULT_LOGIN.to_owned());
        // The grant is one of two of its account, and the other may still be confirmed.
        assert_eq!(github.revocations(1).await, [(Extent::Token, login)]);
        refused(&confirm(&mut client, yes(&late)).await, "confirmation_invalid");
        succeeded(&confirm(&mut client, yes(&in_time)).await);
        succeeded(&client.for_github(CommandKind::Sync).await);
    })
    .await;
}

#[tokio::test]
async fn another_account_that_is_linked_meanwhile_stays_and_the_new_grant_is_given_back() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_session = world.client("u", "t").await;
        let parked = parked(&mut client, &github).await;
        succeeded(&other_session.connect("test_code_eve").await);
        let answer = confirm(&mut client, yes(&parked)).await;
        refused(&answer, "already_connected");
        assert_eq!(told(&mut client).await, answer);
        let login = Some(simulator::DEFAULT_LOGIN.to_owned());
        assert_eq!(github.revocations(1).await, [(Extent::Grant, login)]);
        assert_eq!(github.logins_with_tokens(), ["eve"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_parked_is_given_back_when_all_access_is_revoked() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_device = world.client("u", "t").await;
        let parked = parked(&mut client, &github).await;
        let open = come_back(&mut client, &github, HOSTED).await;
        let confirmation = other_device.confirmation().await;
        let revoked = other_device.revoke_all(&confirmation).await;
        succeeded(&revoked);
        assert_eq!(revoked["accountsDisconnected"], 0);
        github.revocations(1).await;
        refused(&confirm(&mut client, yes(&parked)).await, "confirmation_invalid");

        let begun_before: Value = call_back(&mut client, &open).await.data.read().unwrap();
        refused(&begun_before, "conflict");
        github.revocations(2).await;
        assert!(github.logins_with_tokens().is_empty());
        assert_eq!(accounts(&mut client).await, json!([]));
    })
    .await;
}
