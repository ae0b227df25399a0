//! Sessions end when nothing happens in them, and their tokens when they say so.

use std::time::Duration;

use bus::{SessionKey, Sessions};
use protocol::id::{SessionId, UserId};
use serde_json::json;
use testkit::token::claims;
use testkit::{Native, SocketIo};

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn a_quiet_session_is_warned_and_then_ends_on_all_its_sockets() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(2));
    let native = Native::connect(&house.door, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.door, &house.token("u")).await.unwrap();
    for socket in [&*native, &*socketio] {
        let warning = socket.next().await;
        assert_eq!(
            (warning.name.as_str(), warning.offset),
            ("security:session_warning", None)
        );
        assert_eq!(warning.data, json!({"userId": "u", "expiresIn": 1, "canExtend": true}));
        let expired = socket.next().await;
        assert_eq!(expired.name, "security:session_expired");
        assert_eq!(expired.data["reason"], json!("idle"));
        assert_eq!(socket.closed().await.code, 4401);
        assert_eq!(socket.unread(), []);
    }
    assert!(socketio.was_dismissed());
}

#[tokio::test]
async fn a_socket_that_joins_inside_the_lead_is_warned_at_once_and_the_others_not_again() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(6));
    let first = Native::connect(&house.door, &house.token("u")).await.unwrap();
    first.next_event("security:session_warning").await;
    let second = Native::connect(&house.door, &house.token("u")).await.unwrap();
    let warning = second.next_event("security:session_warning").await;
    assert!(warning.data["expiresIn"].as_u64().unwrap() <= 3);
    assert!(second.is_open() && first.is_open());
    assert_eq!(first.unread(), []);
}

#[tokio::test]
async fn a_session_that_is_extended_after_its_warning_says_so_to_all_its_sockets() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(4));
    let asks = SocketIo::connect(&house.door, &house.token("u")).await.unwrap();
    let hears = SocketIo::connect(&house.door, &house.token("u")).await.unwrap();
    for socket in [&asks, &hears] {
        socket.next_event("security:session_warning").await;
    }
    let answer = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(
        (&answer["success"], &answer["canExtend"]),
        (&json!(true), &json!(true)),
        "{answer}"
    );
    let extended = hears.next_event("security:session_extended").await;
    assert_eq!(extended.offset, None);
    // Warned anew: the first end did not come.
    hears.next_event("security:session_warning").await;
}

#[tokio::test]
async fn the_end_of_the_token_cannot_be_extended() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(60));
    let token = house.signer.sign(&claims("u", Duration::from_secs(30)));
    let socket = SocketIo::connect(&house.door, &token).await.unwrap();
    let answer = socket.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(answer["canExtend"], json!(false), "{answer}");
}

#[tokio::test]
async fn a_session_that_was_ended_lets_nobody_in() {
    let house = House::new().await;
    let ended = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new("s-1").unwrap(),
    };
    house.line.end(&ended, Duration::from_secs(60)).await.unwrap();
    let mut claims = claims("u", Duration::from_secs(60));
    claims["sid"] = json!("s-1");
    let token = house.signer.sign(&claims);
    let socketio = SocketIo::connect(&house.door, &token).await.unwrap_err();
    assert!(socketio.to_string().contains("forbidden"), "{socketio}");
    let native = Native::connect(&house.door, &token).await.unwrap_err();
    match native {
        testkit::client::Refused::Answered { data, closed } => {
            assert_eq!(data["error"], json!("forbidden"));
            assert_eq!(closed.unwrap().code, 4403);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_refreshed_token_moves_the_end_of_its_socket() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    let token = house.signer.sign(&claims("u", Duration::from_secs(2)));
    let socket = SocketIo::connect(&house.door, &token).await.unwrap();
    let other = SocketIo::connect(&house.door, &token).await.unwrap();
    let answer = socket
        .emit_with_ack("auth:refresh", json!({"token": house.token("u")}))
        .await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    assert_eq!(other.closed().await.code, 4401);
    let answer = socket.emit_with_ack("account:list", json!({})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}

#[tokio::test]
async fn a_token_of_another_user_or_session_refreshes_nothing() {
    let house = House::new().await;
    let socket = SocketIo::connect(&house.door, &house.token("u")).await.unwrap();
    let mut other_session = claims("u", Duration::from_secs(60));
    other_session["sid"] = json!("s-2");
    for (token, error) in [
        (house.token("v"), "forbidden"),
        (house.signer.sign(&other_session), "forbidden"),
        ("no token".to_owned(), "unauthenticated"),
    ] {
        let answer = socket.emit_with_ack("auth:refresh", json!({ "token": token })).await;
        assert_eq!(answer["error"], json!(error), "{answer}");
    }
    assert!(socket.is_open());
}

#[tokio::test]
async fn a_token_that_ends_first_is_warned_of_and_another_one_moves_its_end() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    house.line.sessions_last(Duration::from_secs(600));
    let token = house.signer.sign(&claims("u", Duration::from_secs(4)));
    let renewed = SocketIo::connect(&house.door, &token).await.unwrap();
    let forgotten = Native::connect(&house.door, &token).await.unwrap();
    for socket in [&*renewed, &*forgotten] {
        let warning = socket.next_event("security:session_warning").await;
        assert_eq!(warning.data["canExtend"], json!(false));
        assert!(warning.data["expiresIn"].as_u64().unwrap() <= 4, "{}", warning.data);
    }
    let refresh = json!({"token": house.token("u")});
    let answer = renewed.emit_with_ack("auth:refresh", refresh).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    let expired = forgotten.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("token_expired"));
    assert_eq!(forgotten.closed().await.code, 4401);
    assert_eq!(forgotten.unread(), []);
    assert!(renewed.is_open());
}
