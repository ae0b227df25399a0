//! Size limit of tokens: 16 KiB are accepted in every dialect, longer tokens are refused as too large.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::token::claims;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;

/// Default of `POSTERN_JWT_MAX_BYTES`.
const MOST: usize = 16 * 1024;

/// Returns a valid token of `bytes` or up to three bytes less, with a long role as Keycloak writes for users with many roles.
fn token_of(gateway: &TestGateway, bytes: usize) -> String {
    let with_roles = |count: usize| {
        let mut claims = claims("u", Duration::from_secs(3600));
        claims["realm_access"] = json!({ "roles": ["r".repeat(count)] });
        gateway.signer.sign(&claims)
    };
    let remaining = bytes - with_roles(0).len();
    let token = (0..8)
        .map(|less| with_roles(remaining * 3 / 4 - less))
        .find(|token| token.len() <= bytes);
    let token = token.unwrap();
    assert!(token.len() > bytes - 4, "{}", token.len());
    token
}

/// Presents a token in every dialect; returns the refusals.
async fn refusals(gateway: &TestGateway, token: &str) -> Vec<(&'static str, Option<Value>)> {
    let auth = json!({ "token": token });
    let of = |refused: Refused| match refused {
        Refused::Answered { data, .. } => data,
        other => json!(other.to_string()),
    };
    let header = Native::connect(&gateway.endpoint, token).await;
    let message = Native::to(&gateway.endpoint).auth(auth.clone()).connect().await;
    let packed = Native::to(&gateway.endpoint)
        .msgpack()
        .auth(auth.clone())
        .connect()
        .await;
    let connect = SocketIo::to(&gateway.endpoint).auth(auth.clone()).connect().await;
    let packed_connect = SocketIo::to(&gateway.endpoint)
        .msgpack()
        .auth(auth.clone())
        .connect()
        .await;
    let socket = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let refreshed = socket.emit_with_ack("auth:refresh", auth).await;
    vec![
        ("the Authorization header", header.err().map(of)),
        ("the auth message", message.err().map(of)),
        ("the auth message, packed", packed.err().map(of)),
        ("CONNECT", connect.err().map(of)),
        ("CONNECT, packed", packed_connect.err().map(of)),
        ("auth:refresh", (refreshed["success"] != true).then_some(refreshed)),
    ]
}

#[tokio::test]
async fn token_of_16_kib_is_accepted_by_every_dialect() {
    let gateway = TestGateway::new().await;
    for (entrance, refused) in refusals(&gateway, &token_of(&gateway, MOST)).await {
        assert_eq!(refused, None, "{entrance}");
    }
}

#[tokio::test]
async fn token_longer_than_16_kib_is_refused_by_every_dialect() {
    let gateway = TestGateway::new().await;
    for (entrance, refused) in refusals(&gateway, &token_of(&gateway, MOST + 4)).await {
        let answer = refused.unwrap();
        let (code, reason) = match entrance {
            "CONNECT" | "CONNECT, packed" => (&answer["data"]["code"], &answer["data"]["reason"]),
            _ => (&answer["error"], &answer["reason"]),
        };
        assert_eq!(
            (code, reason),
            (&json!("unauthenticated"), &json!("too_large")),
            "{entrance}: {answer}"
        );
        assert_eq!(answer["message"], "The token is longer than 16384 bytes.", "{entrance}");
    }
}

#[tokio::test]
async fn request_head_longer_than_32_kib_is_431() {
    let gateway = TestGateway::new().await;
    // A token in the query is refused regardless of its length.
    let query = format!("/ws?access_token={}", token_of(&gateway, MOST));
    let answer = gateway.endpoint.http(&Request::upgrade(&query)).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["message"], "A token does not belong into a URL.");

    let with_cookie = |bytes: usize| Request::get("/nothing").header("Cookie", &"c".repeat(bytes));
    assert_eq!(
        gateway.endpoint.http(&with_cookie(31 * 1024)).await.unwrap().status,
        404
    );
    assert_eq!(
        gateway.endpoint.http(&with_cookie(33 * 1024)).await.unwrap().status,
        431
    );
}
