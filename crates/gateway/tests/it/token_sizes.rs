//! Tokens of issuers that put much into them: 16 KiB are taken at every entrance, more is refused by that name.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::token::claims;
use testkit::{Native, SocketIo};

use crate::house::House;

/// Default of `POSTERN_JWT_MAX_BYTES`.
const MOST: usize = 16 * 1024;

/// A good token of at most so many bytes, and of four less at least, as Keycloak writes it for a user with many roles.
fn token_of(house: &House, bytes: usize) -> String {
    let with_roles = |letters: usize| {
        let mut claims = claims("u", Duration::from_secs(3600));
        claims["realm_access"] = json!({ "roles": ["r".repeat(letters)] });
        house.signer.sign(&claims)
    };
    let room = bytes - with_roles(0).len();
    let token = (0..8)
        .map(|less| with_roles(room * 3 / 4 - less))
        .find(|token| token.len() <= bytes);
    let token = token.unwrap();
    assert!(token.len() > bytes - 4, "{}", token.len());
    token
}

/// All ways in, with one token: the answer of each, where it is refused.
async fn refusals(house: &House, token: &str) -> Vec<(&'static str, Option<Value>)> {
    let auth = json!({ "token": token });
    let of = |refused: Refused| match refused {
        Refused::Answered { data, .. } => data,
        other => json!(other.to_string()),
    };
    let header = Native::connect(&house.endpoint, token).await;
    let message = Native::to(&house.endpoint).auth(auth.clone()).connect().await;
    let packed = Native::to(&house.endpoint).msgpack().auth(auth.clone()).connect().await;
    let connect = SocketIo::to(&house.endpoint).auth(auth.clone()).connect().await;
    let packed_connect = SocketIo::to(&house.endpoint)
        .msgpack()
        .auth(auth.clone())
        .connect()
        .await;
    let socket = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
async fn a_token_of_16_kib_is_taken_at_every_entrance() {
    let house = House::new().await;
    for (entrance, refused) in refusals(&house, &token_of(&house, MOST)).await {
        assert_eq!(refused, None, "{entrance}");
    }
}

#[tokio::test]
async fn a_longer_token_is_refused_as_too_large_at_every_entrance() {
    let house = House::new().await;
    for (entrance, refused) in refusals(&house, &token_of(&house, MOST + 4)).await {
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
async fn a_head_of_32_kib_is_read_and_a_longer_one_is_431() {
    let house = House::new().await;
    // A token in the query is refused for being there, however long it is.
    let query = format!("/ws?access_token={}", token_of(&house, MOST));
    let answer = house.endpoint.http(&Request::upgrade(&query)).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["message"], "A token does not belong into a URL.");

    let with_cookie = |bytes: usize| Request::get("/nothing").header("Cookie", &"c".repeat(bytes));
    assert_eq!(house.endpoint.http(&with_cookie(31 * 1024)).await.unwrap().status, 404);
    assert_eq!(house.endpoint.http(&with_cookie(33 * 1024)).await.unwrap().status, 431);
}
