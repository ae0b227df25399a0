//! Redundant mechanisms, each with the other one failing. The other half of a pair is tested beside the code or in the file of its
//! subject; docs/security-tests.md lists the pairs.

use std::time::Duration;

use bus::{Events, SessionKey, SessionRegistry};
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::{DeliveryClass, Notice};
use protocol::id::{EventId, SessionId, UserId};
use protocol::json::Json;
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use serde_json::json;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn events_are_delivered_while_offsets_and_log_are_unreadable() {
    let gateway = TestGateway::new().await;
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.fail_steps(&["offsets", "read_log"]);
    for kind in AccountType::ALL {
        gateway.publish("u", kind).await;
        for socket in [&*native, &*socketio] {
            assert_eq!(socket.next().await.data["accountType"], json!(kind));
        }
    }
}

#[tokio::test]
async fn reply_is_delivered_while_stored_replies_are_unreadable() {
    let gateway = TestGateway::new().await;
    gateway.bus.fail_steps(&["stored_replies"]);
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let answer = client.request("account:list", json!({})).await;
    assert_eq!(answer.data, json!({ "success": true, "of": "u" }));
}

#[tokio::test]
async fn resume_closes_old_socket_while_token_renewal_fails() {
    let gateway = TestGateway::new().await;
    gateway.bus.fail_steps(&["renew_tokens"]);
    let left = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let resume = json!({ "resumeToken": left.ready()["resumeToken"] });
    let auth = json!({ "token": gateway.token("u"), "resume": resume });
    let back = Native::to(&gateway.endpoint).auth(auth).connect().await.unwrap();
    assert_eq!(left.closed().await.code, 4429);
    assert!(back.is_open());
}

#[tokio::test]
async fn session_end_event_closes_sockets_while_ttl_checks_fail() {
    let gateway = TestGateway::new().await;
    let (socket, key) = of_a_session(&gateway).await;
    gateway.bus.fail_steps(&["check_ttl", "renew_session"]);
    let notice = Notice::SessionExpired(SessionExpired {
        user_id: key.user.clone(),
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        reason: SessionEnd::Ended,
    });
    let envelope = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the end").unwrap(),
        audience: Audience::Session(key.session.clone()),
        class: DeliveryClass::Critical,
        event: notice.name().to_owned(),
        data: notice.data(),
        traceparent: None,
        published_at: None,
    };
    gateway.bus.publish(&key.user, &envelope).await.unwrap();
    assert_ended(&socket).await;
}

#[tokio::test]
async fn ended_session_closes_sockets_at_next_ttl_check_after_lost_event() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(Duration::from_secs(3));
    let (socket, key) = of_a_session(&gateway).await;
    let ended_at = Timestamp::from_millis(1_795_451_460_007);
    gateway.bus.end(&key, ended_at, Duration::from_secs(60)).await.unwrap();
    assert_ended(&socket).await;
}

/// Only the event announces the change: the bus in memory has no expiry notifications.
#[tokio::test]
async fn shortened_timeout_takes_effect_by_its_event() {
    let gateway = TestGateway::new().await;
    let (socket, key) = of_a_session(&gateway).await;
    gateway.bus.set_timeout(&key, 4 * SECOND, 2 * SECOND).await.unwrap();
    let updated = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the settings").unwrap(),
        audience: Audience::User,
        class: DeliveryClass::Critical,
        event: "security:settings_updated".to_owned(),
        data: Json::of(&json!({ "userId": "u" })),
        traceparent: None,
        published_at: None,
    };
    gateway.bus.publish(&key.user, &updated).await.unwrap();
    socket.next_event("security:session_warning").await;
    let expired = socket.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("idle"));
}

async fn of_a_session(gateway: &TestGateway) -> (SocketIo, SessionKey) {
    let socket = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    (socket, key)
}

const SECOND: Duration = Duration::from_secs(1);

async fn assert_ended(socket: &SocketIo) {
    let expired = socket.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("ended"));
    assert_eq!(socket.closed().await.code, 4403);
}
