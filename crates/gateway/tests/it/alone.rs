//! Where two mechanisms keep one promise, each keeps it alone. What is here has its other half in a test beside the code, or in
//! the file of its subject; docs/security-tests.md lists the pairs.

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

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn events_arrive_while_neither_positions_nor_the_log_can_be_read() {
    let house = House::new().await;
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.refuse(&["positions", "since"]);
    for kind in AccountType::ALL {
        house.publish("u", kind).await;
        for socket in [&*native, &*socketio] {
            assert_eq!(socket.next().await.data["accountType"], json!(kind));
        }
    }
}

#[tokio::test]
async fn an_answer_is_received_while_kept_answers_cannot_be_read() {
    let house = House::new().await;
    house.line.refuse(&["kept replies"]);
    let _worker = Worker::obliging(&house);
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let answer = client.request("account:list", json!({})).await;
    assert_eq!(answer.data, json!({ "success": true, "of": "u" }));
}

#[tokio::test]
async fn who_comes_back_ends_the_socket_that_it_left_while_signs_of_life_fail() {
    let house = House::new().await;
    house.line.refuse(&["keep"]);
    let left = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let resume = json!({ "resumeToken": left.ready()["resumeToken"] });
    let auth = json!({ "token": house.token("u"), "resume": resume });
    let back = Native::to(&house.endpoint).auth(auth).connect().await.unwrap();
    assert_eq!(left.closed().await.code, 4429);
    assert!(back.is_open());
}

#[tokio::test]
async fn the_end_of_a_session_closes_its_sockets_by_its_event_while_nobody_can_be_asked() {
    let house = House::new().await;
    let (socket, key) = of_a_session(&house).await;
    house.line.refuse(&["poke", "touch"]);
    let notice = Notice::SessionExpired(SessionExpired {
        user_id: key.user.clone(),
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        reason: SessionEnd::Ended,
    });
    let told = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the end").unwrap(),
        audience: Audience::Session(key.session.clone()),
        class: DeliveryClass::Critical,
        event: notice.name().to_owned(),
        data: notice.data(),
    };
    house.line.publish(&key.user, &told).await.unwrap();
    assert_ended(&socket).await;
}

#[tokio::test]
async fn the_end_of_a_session_closes_its_sockets_at_the_next_question_when_its_event_was_lost() {
    let house = House::new().await;
    house.line.sessions_last(Duration::from_secs(3));
    let (socket, key) = of_a_session(&house).await;
    let ended_at = Timestamp::from_millis(1_795_451_460_007);
    house.line.end(&key, ended_at, Duration::from_secs(60)).await.unwrap();
    assert_ended(&socket).await;
}

/// Nothing is announced here but events: the bus is in memory.
#[tokio::test]
async fn a_timeout_that_was_shortened_takes_effect_by_its_event() {
    let house = House::new().await;
    let (socket, key) = of_a_session(&house).await;
    house.line.set_timeout(&key, 4 * SECOND, 2 * SECOND).await.unwrap();
    let updated = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the settings").unwrap(),
        audience: Audience::User,
        class: DeliveryClass::Critical,
        event: "security:settings_updated".to_owned(),
        data: Json::of(&json!({ "userId": "u" })),
    };
    house.line.publish(&key.user, &updated).await.unwrap();
    socket.next_event("security:session_warning").await;
    let expired = socket.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("idle"));
}

async fn of_a_session(house: &House) -> (SocketIo, SessionKey) {
    let socket = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
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
