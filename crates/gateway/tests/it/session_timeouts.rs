//! Expiry of idle sessions and of tokens.

use std::time::Duration;

use bus::{SessionKey, SessionRegistry};
use lifecycle::{Clock, SystemClock};
use protocol::id::{SessionId, UserId};
use serde_json::json;
use testkit::token::claims;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn idle_session_is_warned_and_expires_on_all_sockets() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(Duration::from_secs(2));
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for socket in [&*native, &*socketio] {
        let warning = socket.next().await;
        assert_eq!(
            (warning.name.as_str(), warning.offset),
            ("security:session_warning", None)
        );
        let required = ["userId", "expiresIn", "canExtend"].map(|field| &warning.data[field]);
        assert_eq!(required, [&json!("u"), &json!(1), &json!(true)]);
        let expired = socket.next().await;
        assert_eq!(expired.name, "security:session_expired");
        assert_eq!(expired.data["reason"], json!("idle"));
        assert_eq!(socket.closed().await.code, 4401);
        assert_eq!(socket.unread(), []);
    }
    assert!(socketio.received_disconnect());
    for deadline in ["warning", "idle"] {
        assert!(gateway.metric(&lateness(deadline)) >= 1.0, "{deadline}");
    }
}

/// Number of applied deadlines of this kind.
fn lateness(deadline: &str) -> String {
    format!("postern_gateway_session_lateness_seconds_count{{deadline=\"{deadline}\"}}")
}

#[tokio::test]
async fn socket_joining_within_lead_time_is_warned_immediately_and_others_once() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(Duration::from_secs(6));
    let first = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    first.next_event("security:session_warning").await;
    let second = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let warning = second.next_event("security:session_warning").await;
    assert!(warning.data["expiresIn"].as_u64().unwrap() <= 3);
    assert!(second.is_open() && first.is_open());
    assert_eq!(first.unread(), []);
}

#[tokio::test]
async fn extension_after_warning_notifies_all_sockets() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(Duration::from_secs(4));
    let asks = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let receiver = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for socket in [&asks, &receiver] {
        socket.next_event("security:session_warning").await;
    }
    let answer = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(
        (&answer["success"], &answer["canExtend"]),
        (&json!(true), &json!(true)),
        "{answer}"
    );
    let extended = receiver.next_event("security:session_extended").await;
    assert_eq!(extended.offset, None);
    // A second warning shows that the session did not end at its first expiry.
    receiver.next_event("security:session_warning").await;
}

#[tokio::test]
async fn token_expiry_cannot_be_extended() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(Duration::from_secs(60));
    let token = gateway.signer.sign(&claims("u", Duration::from_secs(30)));
    let socket = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let answer = socket.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(answer["canExtend"], json!(false), "{answer}");
}

#[tokio::test]
async fn ended_session_refuses_connects() {
    let gateway = TestGateway::new().await;
    let ended = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new("s-1").unwrap(),
    };
    let now = SystemClock.now().into();
    gateway.bus.end(&ended, now, Duration::from_secs(60)).await.unwrap();
    let mut claims = claims("u", Duration::from_secs(60));
    claims["sid"] = json!("s-1");
    let token = gateway.signer.sign(&claims);
    let socketio = SocketIo::connect(&gateway.endpoint, &token).await.unwrap_err();
    assert!(socketio.to_string().contains("forbidden"), "{socketio}");
    let native = Native::connect(&gateway.endpoint, &token).await.unwrap_err();
    match native {
        testkit::client::Refused::Answered { data, closed } => {
            assert_eq!(data["error"], json!("forbidden"));
            assert_eq!(closed.unwrap().code, 4403);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn session_with_announced_end_needs_confirmation_by_a_worker() {
    let gateway = TestGateway::new().await;
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    let live = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let answer = live.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(answer["success"], json!(true), "it was not committed: {answer}");
    gateway.bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
    let again = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    assert!(again.is_open());
    gateway.bus.announce_end(&[key]).await.unwrap();
    gateway.bus.expire_unknown_sessions();
    SocketIo::connect(&gateway.endpoint, &gateway.token("u"))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn newest_token_is_recorded_on_connect_and_refresh() {
    let gateway = TestGateway::new().await;
    let mut later = claims("u", Duration::from_secs(60));
    let iat = later["iat"].as_i64().unwrap();
    let mut token = |seconds: i64| {
        later["iat"] = json!(iat + seconds);
        gateway.signer.sign(&later)
    };
    let socket = SocketIo::connect(&gateway.endpoint, &token(1)).await.unwrap();
    let newest = async || {
        let key = SessionKey {
            user: UserId::new("u").unwrap(),
            session: SessionId::new(SessionId::DEFAULT).unwrap(),
        };
        let announced = gateway.bus.announce_end(&[key]).await.unwrap();
        announced[0].tokens.issued_at.unwrap().as_secs() - iat
    };
    drop(SocketIo::connect(&gateway.endpoint, &token(30)).await.unwrap());
    drop(SocketIo::connect(&gateway.endpoint, &token(20)).await.unwrap());
    assert_eq!(newest().await, 30);
    let answer = socket.emit_with_ack("auth:refresh", json!({"token": token(45)})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    assert_eq!(newest().await, 45);
}

#[tokio::test]
async fn refreshed_token_extends_its_socket() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let token = gateway.signer.sign(&claims("u", Duration::from_secs(2)));
    let socket = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let other = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let answer = socket
        .emit_with_ack("auth:refresh", json!({"token": gateway.token("u")}))
        .await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    assert_eq!(other.closed().await.code, 4401);
    let answer = socket.emit_with_ack("account:list", json!({})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}

#[tokio::test]
async fn refresh_with_token_of_another_user_or_session_is_refused() {
    let gateway = TestGateway::new().await;
    let socket = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let mut other_session = claims("u", Duration::from_secs(60));
    other_session["sid"] = json!("s-2");
    for (token, error) in [
        (gateway.token("v"), "forbidden"),
        (gateway.signer.sign(&other_session), "forbidden"),
        ("no token".to_owned(), "unauthenticated"),
    ] {
        let answer = socket.emit_with_ack("auth:refresh", json!({ "token": token })).await;
        assert_eq!(answer["error"], json!(error), "{answer}");
    }
    assert!(socket.is_open());
}

#[tokio::test]
async fn token_expiring_before_its_session_is_warned_and_can_be_refreshed() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    gateway.bus.set_session_timeout(Duration::from_secs(600));
    let token = gateway.signer.sign(&claims("u", Duration::from_secs(4)));
    let renewed = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let forgotten = Native::connect(&gateway.endpoint, &token).await.unwrap();
    for socket in [&*renewed, &*forgotten] {
        let warning = socket.next_event("security:session_warning").await;
        assert_eq!(warning.data["canExtend"], json!(false));
        assert!(warning.data["expiresIn"].as_u64().unwrap() <= 4, "{}", warning.data);
    }
    let refresh = json!({"token": gateway.token("u")});
    let answer = renewed.emit_with_ack("auth:refresh", refresh).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    let expired = forgotten.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("token_expired"));
    assert_eq!(forgotten.closed().await.code, 4401);
    assert_eq!(forgotten.unread(), []);
    assert!(renewed.is_open());
    assert!(gateway.metric(&lateness("token")) >= 1.0);
}
