//! Sessions end when nothing happens in them, and their tokens when they say so.

use std::time::Duration;

use bus::{SessionKey, SessionRegistry};
use lifecycle::{Clock, SystemClock};
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
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
    assert!(socketio.received_disconnect());
}

#[tokio::test]
async fn a_socket_that_joins_inside_the_lead_is_warned_at_once_and_the_others_not_again() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(6));
    let first = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    first.next_event("security:session_warning").await;
    let second = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let warning = second.next_event("security:session_warning").await;
    assert!(warning.data["expiresIn"].as_u64().unwrap() <= 3);
    assert!(second.is_open() && first.is_open());
    assert_eq!(first.unread(), []);
}

#[tokio::test]
async fn a_session_that_is_extended_after_its_warning_says_so_to_all_its_sockets() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(4));
    let asks = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let hears = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
    let socket = SocketIo::connect(&house.endpoint, &token).await.unwrap();
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
    let now = SystemClock.now().into();
    house.line.end(&ended, now, Duration::from_secs(60)).await.unwrap();
    let mut claims = claims("u", Duration::from_secs(60));
    claims["sid"] = json!("s-1");
    let token = house.signer.sign(&claims);
    let socketio = SocketIo::connect(&house.endpoint, &token).await.unwrap_err();
    assert!(socketio.to_string().contains("forbidden"), "{socketio}");
    let native = Native::connect(&house.endpoint, &token).await.unwrap_err();
    match native {
        testkit::client::Refused::Answered { data, closed } => {
            assert_eq!(data["error"], json!("forbidden"));
            assert_eq!(closed.unwrap().code, 4403);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_session_whose_end_was_announced_admits_nobody_without_a_worker_s_word() {
    let house = House::new().await;
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    let live = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let answer = live.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(answer["success"], json!(true), "it was not committed: {answer}");
    house.line.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let again = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    assert!(again.is_open());
    house.line.announce_end(&[key]).await.unwrap();
    house.line.let_sessions_idle_out();
    SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap_err();
}

#[tokio::test]
async fn the_newest_token_of_a_session_is_kept_when_it_joins_and_when_it_is_refreshed() {
    let house = House::new().await;
    let mut later = claims("u", Duration::from_secs(60));
    let iat = later["iat"].as_i64().unwrap();
    let mut token = |seconds: i64| {
        later["iat"] = json!(iat + seconds);
        house.signer.sign(&later)
    };
    let socket = SocketIo::connect(&house.endpoint, &token(1)).await.unwrap();
    let newest = async || {
        let key = SessionKey {
            user: UserId::new("u").unwrap(),
            session: SessionId::new(SessionId::DEFAULT).unwrap(),
        };
        let announced = house.line.announce_end(&[key]).await.unwrap();
        announced[0].newest_token.unwrap().as_secs() - iat
    };
    drop(SocketIo::connect(&house.endpoint, &token(30)).await.unwrap());
    drop(SocketIo::connect(&house.endpoint, &token(20)).await.unwrap());
    assert_eq!(newest().await, 30);
    let answer = socket.emit_with_ack("auth:refresh", json!({"token": token(45)})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    assert_eq!(newest().await, 45);
}

#[tokio::test]
async fn a_refreshed_token_moves_the_end_of_its_socket() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    let token = house.signer.sign(&claims("u", Duration::from_secs(2)));
    let socket = SocketIo::connect(&house.endpoint, &token).await.unwrap();
    let other = SocketIo::connect(&house.endpoint, &token).await.unwrap();
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
    let socket = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
    let renewed = SocketIo::connect(&house.endpoint, &token).await.unwrap();
    let forgotten = Native::connect(&house.endpoint, &token).await.unwrap();
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
