//! GitHub's authorization code flow.

use http::{Method, StatusCode, header};
use serde_json::json;
use simulator::{CLIENT_ID, CLIENT_SECRET, Fault, Kind, Platform::Github, Route};
use url::form_urlencoded::Serializer;

use crate::client::{Client, TOKEN, simulate};

const BACK: &str = "http://127.0.0.1:3000/callback?page=1";
/// Test vector of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn authorize(more: &[(&str, &str)]) -> String {
    let mut query = Serializer::new("/github/login/oauth/authorize?".to_owned());
    let query = query.extend_pairs([("client_id", CLIENT_ID), ("redirect_uri", BACK), ("state", "s-1")]);
    query.extend_pairs(more).finish().replace("?&", "?")
}

/// Code of a consent with this login.
async fn code_of(client: &Client, login: &str, more: &[(&str, &str)]) -> String {
    let consent = format!("{}&login={login}", authorize(more));
    client.get(&consent, &[]).await.location()["code"].clone()
}

async fn code(client: &Client, more: &[(&str, &str)]) -> String {
    code_of(client, "octocat", more).await
}

#[tokio::test]
async fn authorize_page_redirects_with_code_state_and_issuer() {
    simulate(async |client| {
        let answer = client
            .get(
                &authorize(&[("scope", "read:user notifications"), ("login", "octocat")]),
                &[],
            )
            .await;
        assert_eq!(answer.status, StatusCode::FOUND);
        assert!(
            answer
                .header("location")
                .starts_with("http://127.0.0.1:3000/callback?page=1&"),
            "the query is kept"
        );
        let back = answer.location();
        assert_eq!(back["state"], "s-1");
        assert_eq!(back["iss"], format!("{}/github/login/oauth", client.handle.url()));
        assert_eq!(back["code"].len(), 20);
    })
    .await;
}

#[tokio::test]
async fn code_is_exchanged_for_the_token_of_its_account() {
    simulate(async |client| {
        let code = code_of(&client, "ada", &[("scope", "read:user notifications")]).await;
        let token = client.exchange(&code, &[("redirect_uri", BACK)]).await;
        assert_eq!(token["scope"], "notifications,read:user", "comma separated");
        assert_eq!(token["token_type"], "bearer");
        assert_eq!(token.get("refresh_token"), None);
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let user = client
            .get("/github/api/user", &[(header::AUTHORIZATION, &bearer)])
            .await;
        assert_eq!(user.json()["login"], "ada");
    })
    .await;
}

#[tokio::test]
async fn granted_scopes_are_normalised() {
    simulate(async |client| {
        let code = code(&client, &[("scope", "user read:user notifications user")]).await;
        assert_eq!(client.exchange(&code, &[]).await["scope"], "notifications,user");
    })
    .await;
}

#[tokio::test]
async fn token_answer_is_urlencoded_unless_json_is_requested() {
    simulate(async |client| {
        let form = [
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("code", "test_code_123"),
        ];
        let answer = client.post(TOKEN, &form, &[]).await;
        assert_eq!(answer.header("content-type"), "application/x-www-form-urlencoded");
        assert_eq!(answer.form()["scope"], "notifications,read:user");
        assert!(answer.form()["access_token"].starts_with("gho_"));

        let refused = client
            .post(TOKEN, &[("client_id", CLIENT_ID), ("client_secret", "x")], &[])
            .await;
        assert_eq!(
            (refused.status, refused.form()["error"].as_str()),
            (StatusCode::OK, "incorrect_client_credentials")
        );
    })
    .await;
}

#[tokio::test]
async fn the_token_endpoint_reads_json_bodies_too() {
    simulate(async |client| {
        let body = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": "test_code_123"});
        let answer = client
            .json(Method::POST, TOKEN, &[(header::ACCEPT, "application/json")], &body)
            .await;
        assert!(answer.json()["access_token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn code_used_twice_is_refused_and_its_tokens_are_revoked() {
    simulate(async |client| {
        let code = code(&client, &[]).await;
        client.exchange(&code, &[]).await;
        assert_eq!(client.handle.snapshot().tokens.len(), 1);
        let again = client.exchange(&code, &[]).await;
        assert_eq!(again["error"], "bad_verification_code");
        assert!(again["error_description"].is_string() && again["error_uri"].is_string());
        let snapshot = client.handle.snapshot();
        assert!(snapshot.tokens.is_empty());
        assert_eq!(snapshot.ledger.exchanges(Github, &code), 2);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_code_is_refused() {
    simulate(async |client| {
        assert_eq!(client.exchange("nonsense", &[]).await["error"], "bad_verification_code");
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_do_not_use_the_code_up() {
    simulate(async |client| {
        let code = code(&client, &[]).await;
        for (id, secret) in [(CLIENT_ID, "wrong"), ("wrong", CLIENT_SECRET)] {
            let form = [("client_id", id), ("client_secret", secret), ("code", code.as_str())];
            assert_eq!(
                client.post(TOKEN, &form, &[]).await.form()["error"],
                "incorrect_client_credentials"
            );
        }
        assert!(client.exchange(&code, &[]).await["access_token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri() {
    simulate(async |client| {
        let code = code(&client, &[]).await;
        let refused = client
            .exchange(&code, &[("redirect_uri", "http://127.0.0.1:3000/other")])
            .await;
        assert_eq!(refused["error"], "redirect_uri_mismatch");
    })
    .await;
}

#[tokio::test]
async fn challenge_requires_its_verifier() {
    simulate(async |client| {
        let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        for wrong in [vec![], vec![("code_verifier", "another")]] {
            let code = code(&client, &pkce).await;
            assert_eq!(client.exchange(&code, &wrong).await["error"], "bad_verification_code");
        }
        let code = code(&client, &pkce).await;
        assert!(client.exchange(&code, &[("code_verifier", VERIFIER)]).await["access_token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn only_s256_challenges_are_taken() {
    simulate(async |client| {
        let back = client
            .get(&authorize(&[("code_challenge", VERIFIER)]), &[])
            .await
            .location();
        assert_eq!(
            (back["error"].as_str(), back.contains_key("code")),
            ("invalid_request", false)
        );
    })
    .await;
}

#[tokio::test]
async fn refused_consent_redirects_with_access_denied() {
    simulate(async |client| {
        client.handle.fault(Fault::once(Github, Route::Authorize, Kind::Deny));
        let back = client.get(&authorize(&[]), &[]).await.location();
        assert_eq!(
            (back["error"].as_str(), back["state"].as_str()),
            ("access_denied", "s-1")
        );
        assert!(back.contains_key("iss") && !back.contains_key("code"));
    })
    .await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_the_application_would_not_register() {
    simulate(async |client| {
        for wrong in ["http://app.example/back", "javascript:alert(1)", "nonsense"] {
            let query = Serializer::new(String::new())
                .extend_pairs([("client_id", CLIENT_ID), ("redirect_uri", wrong)])
                .finish();
            let answer = client.get(&format!("/github/login/oauth/authorize?{query}"), &[]).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
        let unknown = client
            .get("/github/login/oauth/authorize?client_id=someone-else", &[])
            .await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn test_codes_need_no_authorization_work_each_time_and_are_counted() {
    simulate(async |client| {
        for _ in 0..2 {
            let token = client
                .exchange("test_code_123", &[("redirect_uri", "http://localhost:3000/callback")])
                .await;
            assert!(token["access_token"].is_string());
        }
        let snapshot = client.handle.snapshot();
        assert!(snapshot.tokens.iter().all(|token| token.login == "123"));
        assert_eq!(snapshot.ledger.exchanges(Github, "test_code_123"), 2);
    })
    .await;
}

#[tokio::test]
async fn test_codes_work_once_when_asked_to() {
    simulate(async |client| {
        client.handle.single_use_test_codes(true);
        assert!(client.exchange("test_code_123", &[]).await["access_token"].is_string());
        assert_eq!(
            client.exchange("test_code_123", &[]).await["error"],
            "bad_verification_code"
        );
        assert!(
            client.handle.snapshot().tokens.is_empty(),
            "the second presentation revokes what the first bought"
        );
        assert!(client.exchange("test_code_124", &[]).await["access_token"].is_string());
    })
    .await;
}

#[tokio::test]
async fn eleventh_token_of_an_account_ends_its_first() {
    simulate(async |client| {
        let first = client.exchange("test_code_ada", &[]).await;
        client.exchange("test_code_bob", &[]).await;
        for _ in 0..10 {
            client.exchange("test_code_ada", &[]).await;
        }
        let tokens = client.handle.snapshot().tokens;
        assert_eq!(tokens.iter().filter(|token| token.login == "ada").count(), 10);
        assert_eq!(tokens.iter().filter(|token| token.login == "bob").count(), 1);
        assert!(
            tokens
                .iter()
                .all(|token| first["access_token"] != token.access_token.as_str())
        );
    })
    .await;
}
