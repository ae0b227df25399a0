//! End of a session as each socket sees it: the earlier one of session and token, and what an extension does to it.
//!
//! An extension on another gateway is noticed in two ways, by its announcement and at the old deadline. Each is tested without the other.

use std::time::Duration;

use bus::{Events, SessionKey, SessionSeed, TokenTimes};
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{EventId, SessionId, UserId};
use protocol::json::Json;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use testkit::token::claims;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;

#[tokio::test]
async fn every_end_is_the_earlier_one_of_session_and_token() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(TIMEOUT);
    for (life, limit) in [(TIMEOUT / 2, Some("token_expires_first")), (2 * TIMEOUT, None)] {
        let claims = claims("u", life);
        let token = gateway.signer.sign(&claims);
        let socket = Native::connect(&gateway.endpoint, &token).await.unwrap();
        let extended = socket.request("security:extend_session", json!({})).await.data;
        let refreshed = socket.request("auth:refresh", json!({ "token": token })).await.data;
        for data in [&socket.ready(), &extended, &refreshed] {
            assert_ends(data, &claims);
        }
        assert_limit(&extended, limit);
    }
}

#[tokio::test]
async fn warning_names_both_ends_and_the_earlier_one() {
    let gateway = TestGateway::new().await;
    seed(&gateway, TIMEOUT / 3).await;
    for (life, limit) in [(TIMEOUT / 10, Some("token_expires_first")), (2 * TIMEOUT, None)] {
        let claims = claims("u", life);
        let socket = connect(&gateway, &claims).await;
        let warning = socket.next_event("security:session_warning").await.data;
        assert_ends(&warning, &claims);
        assert_limit(&warning, limit);
        let left = time(&warning, "expiresAt").since(time(&warning, "serverTime"));
        let expires_in = warning["expiresIn"].as_u64().unwrap();
        assert!(left.as_secs().abs_diff(expires_in) <= 1, "{warning}");
    }
}

#[tokio::test]
async fn extension_that_the_token_limits_changes_nothing_and_says_why() {
    let gateway = TestGateway::new().await;
    gateway.bus.set_session_timeout(TIMEOUT);
    let token = gateway.signer.sign(&claims("u", TIMEOUT / 2));
    let socket = Native::connect(&gateway.endpoint, &token).await.unwrap();
    let before = socket.ready();
    let extended = socket.request("security:extend_session", json!({})).await.data;
    assert_eq!(extended["success"], json!(true), "{extended}");
    assert_eq!(extended["expiresAt"], before["expiresAt"], "{extended}");
    assert!(time(&extended, "sessionExpiresAt") >= time(&before, "sessionExpiresAt"));
    assert_limit(&extended, Some("token_expires_first"));
    let renewed = gateway.signer.sign(&claims("u", 2 * TIMEOUT));
    let refreshed = socket.request("auth:refresh", json!({ "token": renewed })).await.data;
    assert_eq!(refreshed["expiresAt"], refreshed["sessionExpiresAt"], "{refreshed}");
}

#[tokio::test]
async fn socket_that_extends_has_its_answer_alone_and_each_other_socket_one_event() {
    let gateway = TestGateway::new().await;
    seed(&gateway, TIMEOUT / 3).await;
    let (long, short) = (claims("u", 2 * TIMEOUT), claims("u", TIMEOUT / 10));
    let (asks, other, limited) = (
        connect(&gateway, &long).await,
        connect(&gateway, &long).await,
        connect(&gateway, &short).await,
    );
    for socket in [&asks, &other, &limited] {
        socket.next_event("security:session_warning").await;
    }
    let answer = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_ends(&answer, &long);
    assert_limit(&answer, None);
    // Published after the announcement: whatever that causes to be delivered is delivered before this.
    gateway.publish("u", AccountType::Github).await;
    let mut events = Vec::new();
    for socket in [&asks, &other, &limited] {
        events.push(extensions_before_the_status(socket).await);
    }
    assert_eq!(events.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1], "{events:?}");
    assert_eq!(events[0][0], answer, "the event of the answer");
    assert_ends(&events[1][0], &long);
    assert_limit(&events[1][0], None);
    assert_ends(&events[2][0], &short);
    assert_limit(&events[2][0], Some("token_expires_first"));
    // The announcement has had the session checked meanwhile, and this extension follows no warning.
    let again = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_limit(&again, None);
    gateway.publish("u", AccountType::Discord).await;
    for socket in [&other, &limited] {
        assert_eq!(extensions_before_the_status(socket).await, Vec::<Value>::new());
    }
}

/// The announcement is one of the previous release, whose end is that of no socket's token.
#[tokio::test]
async fn extension_elsewhere_is_noticed_by_its_announcement_alone() {
    let gateway = TestGateway::new().await;
    let key = seed(&gateway, TIMEOUT / 3).await;
    let claims = claims("u", 2 * TIMEOUT);
    let socket = connect(&gateway, &claims).await;
    socket.next_event("security:session_warning").await;
    gateway.bus.inner().renew_session(&key).await.unwrap();
    let announcement = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the extension").unwrap(),
        audience: Audience::Session(key.session.clone()),
        class: DeliveryClass::Critical,
        event: "security:session_extended".to_owned(),
        data: Json::of(&json!({ "success": true, "expiresAt": "2026-11-30T09:45:00.000Z", "canExtend": true })),
        traceparent: None,
        published_at: None,
    };
    gateway.bus.publish(&key.user, &announcement).await.unwrap();
    let extended = socket.next_event("security:session_extended").await;
    assert_eq!(extended.offset, None);
    assert_ends(&extended.data, &claims);
    assert_eq!(socket.unread(), []);
}

#[tokio::test]
async fn extension_elsewhere_is_noticed_at_the_old_deadline_without_an_announcement() {
    let gateway = TestGateway::new().await;
    let key = seed(&gateway, Duration::from_secs(8)).await;
    let claims = claims("u", 2 * TIMEOUT);
    let socket = connect(&gateway, &claims).await;
    socket.next_event("security:session_warning").await;
    gateway.bus.inner().renew_session(&key).await.unwrap();
    let extended = socket.next_event("security:session_extended").await;
    assert_ends(&extended.data, &claims);
    assert_eq!(socket.unread(), []);
    assert!(socket.is_open());
}

#[tokio::test]
async fn sockets_of_the_same_gateway_are_notified_while_the_announcement_fails() {
    let gateway = TestGateway::new().await;
    seed(&gateway, TIMEOUT / 3).await;
    gateway.bus.fail_steps(&["publish"]);
    let claims = claims("u", 2 * TIMEOUT);
    let (asks, other) = (connect(&gateway, &claims).await, connect(&gateway, &claims).await);
    for socket in [&asks, &other] {
        socket.next_event("security:session_warning").await;
    }
    let answer = asks.emit_with_ack("security:extend_session", json!({})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    let extended = other.next_event("security:session_extended").await;
    assert_ends(&extended.data, &claims);
}

#[tokio::test]
async fn refused_extension_is_activity_all_the_same() {
    let gateway = TestGateway::new().await;
    seed(&gateway, TIMEOUT / 3).await;
    let claims = claims("u", 2 * TIMEOUT);
    let socket = Native::connect(&gateway.endpoint, &gateway.signer.sign(&claims))
        .await
        .unwrap();
    socket.next_event("security:session_warning").await;
    let of_another = json!({ "userId": "v" });
    let refused = socket.request("security:extend_session", of_another).await.data;
    assert_eq!(refused["error"], json!("forbidden"), "{refused}");
    let extended = socket.next_event("security:session_extended").await;
    assert_ends(&extended.data, &claims);
}

/// Opens the session of user `u`, with this time left. The warning is due where that is less than half of the timeout.
async fn seed(gateway: &TestGateway, left: Duration) -> SessionKey {
    let key = SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    let seed = SessionSeed {
        left,
        timeout: TIMEOUT,
        lead: TIMEOUT / 2,
        opened_at: Timestamp::from_millis(1_000),
        tokens: TokenTimes::UNKNOWN,
        announced: None,
    };
    gateway.bus.inner().seed(&key, seed).await.unwrap();
    key
}

async fn connect(gateway: &TestGateway, claims: &Value) -> SocketIo {
    let token = gateway.signer.sign(claims);
    SocketIo::connect(&gateway.endpoint, &token).await.unwrap()
}

/// Payloads of `security:session_extended` that a socket receives before the next status of an account.
async fn extensions_before_the_status(socket: &SocketIo) -> Vec<Value> {
    let mut extensions = Vec::new();
    loop {
        let event = socket.next().await;
        match event.name.as_str() {
            "security:session_extended" => extensions.push(event.data),
            "account:status_changed" => return extensions,
            _ => {}
        }
    }
}

/// Asserts that the ends are consistent, that of the token is its own, and that of the session at most a timeout away.
fn assert_ends(data: &Value, claims: &Value) {
    let (session, token) = (time(data, "sessionExpiresAt"), time(data, "tokenExpiresAt"));
    assert_eq!(time(data, "expiresAt"), session.min(token), "{data}");
    assert_eq!(Some(token.as_secs()), claims["exp"].as_i64(), "{data}");
    let left = session.since(time(data, "serverTime"));
    assert!(left <= TIMEOUT && !left.is_zero(), "{data}");
}

fn assert_limit(data: &Value, limit: Option<&str>) {
    let found = (data["canExtend"].as_bool(), data["reason"].as_str());
    assert_eq!(found, (Some(limit.is_none()), limit), "{data}");
}

fn time(data: &Value, field: &str) -> Timestamp {
    serde_json::from_value(data[field].clone()).unwrap()
}

/// Timeout of sessions, longer than any test.
const TIMEOUT: Duration = Duration::from_mins(10);
