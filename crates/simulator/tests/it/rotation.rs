//! Refresh tokens are valid once, at Discord and X alike.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use simulator::{CLIENT_ID, CLIENT_SECRET, Fault, Kind, Platform, Rotation, Route};

use crate::client::{Answer, Client, simulate};

const BOTH: [(Platform, &str, &str); 2] = [
    (
        Platform::Discord,
        "/discord/api/oauth2/token",
        "/discord/api/v10/users/@me",
    ),
    (Platform::XTwitter, "/x_twitter/2/oauth2/token", "/x_twitter/2/users/me"),
];

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")))
}

async fn ask(client: &Client, path: &str, form: &[(&str, &str)]) -> Answer {
    client.post(path, form, &[(header::AUTHORIZATION, &basic())]).await
}

async fn connect(client: &Client, path: &str) -> Value {
    let form = [("grant_type", "authorization_code"), ("code", "test_code_ada")];
    ask(client, path, &form).await.json()
}

async fn refresh(client: &Client, path: &str, tokens: &Value) -> Answer {
    let token = tokens["refresh_token"].as_str().unwrap();
    ask(
        client,
        path,
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
    .await
}

async fn profile(client: &Client, path: &str, tokens: &Value) -> StatusCode {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let headers = [
        (header::AUTHORIZATION, bearer.as_str()),
        (header::USER_AGENT, "DiscordBot (test, 1)"),
    ];
    client.get(path, &headers).await.status
}

#[tokio::test]
async fn refresh_token_is_exchanged_once() {
    simulate(async |client| {
        for (platform, token, me) in BOTH {
            let first = connect(&client, token).await;
            let second = refresh(&client, token, &first).await.json();
            assert_ne!(first["refresh_token"], second["refresh_token"]);
            assert_eq!(profile(&client, me, &second).await, StatusCode::OK, "{platform:?}");
            let uses = client.handle.snapshot().ledger.refreshes;
            let last = uses.last().unwrap();
            assert_eq!((last.platform, last.rotation), (platform, Rotation::Rotated));
            assert_eq!(last.login.as_deref(), Some("ada"));
        }
    })
    .await;
}

#[tokio::test]
async fn reused_refresh_token_ends_the_tokens_of_its_first_use() {
    simulate(async |client| {
        for (platform, token, me) in BOTH {
            let first = connect(&client, token).await;
            let other = connect(&client, token).await;
            let second = refresh(&client, token, &first).await.json();
            assert_eq!(refresh(&client, token, &first).await.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                profile(&client, me, &second).await,
                StatusCode::UNAUTHORIZED,
                "{platform:?}"
            );
            assert_eq!(refresh(&client, token, &second).await.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                profile(&client, me, &other).await,
                StatusCode::OK,
                "another family lives on"
            );
            let uses = client.handle.snapshot().ledger.refreshes;
            let reused = uses
                .iter()
                .filter(|used| used.platform == platform && used.rotation == Rotation::Reused);
            assert!(reused.map(|used| used.login.as_deref()).eq([Some("ada")]));
        }
    })
    .await;
}

#[tokio::test]
async fn refresh_with_a_lost_answer_has_spent_its_token() {
    simulate(async |client| {
        for (platform, token, _) in BOTH {
            let first = connect(&client, token).await;
            client
                .handle
                .fault(Fault::once(platform, Route::Token, Kind::DropResponse));
            let form = format!(
                "grant_type=refresh_token&refresh_token={}",
                first["refresh_token"].as_str().unwrap()
            );
            let headers = [
                (header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
                (header::AUTHORIZATION, &basic()),
            ];
            client.send(Method::POST, token, &headers, &form).await.unwrap_err();
            assert_eq!(
                refresh(&client, token, &first).await.status,
                StatusCode::BAD_REQUEST,
                "{platform:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn access_token_expires_and_its_lifetime_can_be_shortened() {
    simulate(async |client| {
        for (platform, token, me) in BOTH {
            let usual = connect(&client, token).await["expires_in"].clone();
            assert_eq!(usual, if platform == Platform::Discord { 604_800 } else { 7_200 });
            let name = json!(platform);
            let lifetime = json!({ "platform": name, "seconds": 90 });
            client.json(Method::POST, "/_control/lifetime", &[], &lifetime).await;
            let short = connect(&client, token).await;
            assert_eq!(short["expires_in"], 90);
            let account = json!({ "platform": name, "login": "ada" });
            let ended = client.json(Method::POST, "/_control/expire", &[], &account).await;
            assert_eq!(ended.json()["tokens"], 2);
            assert_eq!(profile(&client, me, &short).await, StatusCode::UNAUTHORIZED);
            assert_eq!(refresh(&client, token, &short).await.status, StatusCode::OK);
        }
    })
    .await;
}

#[tokio::test]
async fn each_says_no_in_its_own_words() {
    simulate(async |client| {
        client.handle.single_use_test_codes(true);
        let words = [
            ("invalid_grant", "invalid_client"),
            ("invalid_request", "unauthorized_client"),
        ];
        for ((_, token, _), (grant, credentials)) in BOTH.into_iter().zip(words) {
            connect(&client, token).await;
            assert_eq!(connect(&client, token).await["error"], grant);
            let stranger = client.post(token, &[("grant_type", "refresh_token")], &[]).await;
            assert_eq!(
                (stranger.status, &stranger.json()["error"]),
                (StatusCode::UNAUTHORIZED, &json!(credentials))
            );
            let body = json!({ "grant_type": "refresh_token" });
            let headers = [(header::AUTHORIZATION, basic())];
            let headers = headers.each_ref().map(|(name, value)| (name.clone(), value.as_str()));
            let in_json = client.json(Method::POST, token, &headers, &body).await;
            assert_eq!(in_json.status, StatusCode::BAD_REQUEST, "forms only");
        }
    })
    .await;
}

#[tokio::test]
async fn discord_ends_all_with_any_token_and_x_the_one_that_is_named() {
    simulate(async |client| {
        let [(_, discord, _), (_, x, me)] = BOTH;
        let tokens = connect(&client, discord).await;
        connect(&client, discord).await;
        let revoke =
            async |path: &str, token: &Value| ask(&client, path, &[("token", token.as_str().unwrap())]).await.status;
        assert_eq!(
            revoke("/discord/api/oauth2/token/revoke", &tokens["access_token"]).await,
            StatusCode::OK
        );
        assert!(client.handle.snapshot().tokens.is_empty());
        assert_eq!(
            revoke("/discord/api/oauth2/token/revoke", &tokens["access_token"]).await,
            StatusCode::OK
        );

        let tokens = connect(&client, x).await;
        assert_eq!(
            revoke("/x_twitter/2/oauth2/revoke", &tokens["refresh_token"]).await,
            StatusCode::OK
        );
        assert_eq!(
            profile(&client, me, &tokens).await,
            StatusCode::OK,
            "the access token lives on"
        );
        assert_eq!(
            revoke("/x_twitter/2/oauth2/revoke", &tokens["access_token"]).await,
            StatusCode::OK
        );
        assert_eq!(profile(&client, me, &tokens).await, StatusCode::UNAUTHORIZED);
        assert_eq!(
            revoke("/x_twitter/2/oauth2/revoke", &tokens["access_token"]).await,
            StatusCode::BAD_REQUEST
        );
    })
    .await;
}
