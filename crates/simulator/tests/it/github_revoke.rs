//! Revocations at GitHub.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use simulator::{CLIENT_ID, CLIENT_SECRET, Extent, Platform::Github, Revocation};

use crate::client::{Answer, Client, simulate};

async fn revoke(client: &Client, what: &str, secret: &str, body: &Value) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{secret}")));
    let path = format!("/github/api/applications/{CLIENT_ID}/{what}");
    client
        .json(Method::DELETE, &path, &[(header::AUTHORIZATION, &basic)], body)
        .await
}

async fn token(client: &Client, login: &str) -> String {
    client.bearer(login).await.split_off("Bearer ".len())
}

#[tokio::test]
async fn one_token_ends_alone() {
    simulate(async |client| {
        let (one, two) = (token(&client, "ada").await, token(&client, "ada").await);
        let answer = revoke(&client, "token", CLIENT_SECRET, &json!({ "access_token": one })).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.header("x-ratelimit-limit"), "5000");
        let snapshot = client.handle.snapshot();
        assert!(snapshot.tokens.iter().map(|token| &token.access_token).eq([&two]));
        let revocation = Revocation {
            platform: Github,
            extent: Extent::Token,
            access_token: one,
            login: Some("ada".into()),
        };
        assert_eq!(snapshot.ledger.revocations, [revocation]);
    })
    .await;
}

#[tokio::test]
async fn grant_revocation_ends_every_token_of_its_account() {
    simulate(async |client| {
        let one = token(&client, "ada").await;
        token(&client, "ada").await;
        token(&client, "bob").await;
        let answer = revoke(&client, "grant", CLIENT_SECRET, &json!({ "access_token": one })).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let tokens = client.handle.snapshot().tokens;
        assert!(tokens.iter().map(|token| token.login.as_str()).eq(["bob"]));
    })
    .await;
}

#[tokio::test]
async fn a_dead_token_is_404_and_one_of_another_kind_or_none_422() {
    simulate(async |client| {
        let dead = revoke(&client, "grant", CLIENT_SECRET, &json!({ "access_token": "gho_dead" })).await;
        assert_eq!(dead.status, StatusCode::NOT_FOUND);
        let refresh_token = json!({ "access_token": "ghr_is_no_access_token" });
        let foreign = revoke(&client, "grant", CLIENT_SECRET, &refresh_token).await;
        assert_eq!(foreign.status, StatusCode::UNPROCESSABLE_ENTITY);
        let missing = revoke(&client, "token", CLIENT_SECRET, &json!({})).await;
        assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY);
        let revocations = client.handle.snapshot().ledger.revocations;
        assert_eq!(revocations.len(), 2, "what named no token was no revocation");
        assert_eq!(revocations[0].login, None);
    })
    .await;
}

#[tokio::test]
async fn only_the_application_itself_may_revoke() {
    simulate(async |client| {
        let one = token(&client, "ada").await;
        let answer = revoke(&client, "grant", "wrong", &json!({ "access_token": one })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(client.handle.snapshot().tokens.len(), 1);
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        let other = "/github/api/applications/someone-else/grant";
        let body = json!({ "access_token": one });
        let answer = client
            .json(Method::DELETE, other, &[(header::AUTHORIZATION, &basic)], &body)
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn github_app_tokens_expire_and_its_grant_lasts_until_both_have() {
    simulate(async |client| {
        client.handle.expiring_github_tokens();
        let ask = async |form: &[(&str, &str)]| {
            let mut form = form.to_vec();
            form.extend([("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]);
            let accept = [(header::ACCEPT, "application/json")];
            client
                .post("/github/login/oauth/access_token", &form, &accept)
                .await
                .json()
        };
        let first = ask(&[("code", "test_code_ada")]).await;
        assert_eq!(first["expires_in"], 8 * 60 * 60);
        client.handle.expire(Github, "ada");
        let lives = || client.handle.snapshot().grants.len();
        assert_eq!(lives(), 1, "the refresh token is good");

        let refresh = first["refresh_token"].as_str().unwrap();
        let renew = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let second = ask(&renew).await;
        assert_eq!(ask(&renew).await["error"], "bad_refresh_token");
        assert_eq!(lives(), 0, "whoever presents it again ends the grant");

        let third = ask(&[("code", "test_code_ada")]).await;
        let body = json!({ "access_token": third["access_token"] });
        assert_eq!(
            revoke(&client, "grant", CLIENT_SECRET, &body).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(lives(), 0);
        assert_ne!(first["access_token"], second["access_token"]);
    })
    .await;
}
