//! A session that has ended: its sockets here hear and do nothing any more, though its end was not heard here, and though no worker
//! looks.

use std::time::Duration;

use bus::{Events, SessionKey, SessionRegistry};
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::{DeliveryClass, Notice};
use protocol::id::{EventId, SessionId, UserId};
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use serde_json::json;
use testkit::client::Refused;
use testkit::{Native, wait};

use crate::house::House;
use crate::worker::Worker;

/// The session of user `u`.
fn key() -> SessionKey {
    SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    }
}

/// What a worker does first.
async fn end(house: &House) {
    let ended_at = Timestamp::from_millis(1_795_451_460_007);
    house.line.end(&key(), ended_at, Duration::from_secs(60)).await.unwrap();
}

/// What it does then.
async fn announce(house: &House) {
    let notice = Notice::SessionExpired(SessionExpired {
        user_id: key().user,
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        reason: SessionEnd::Ended,
    });
    let told = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the end").unwrap(),
        audience: Audience::Session(key().session),
        class: DeliveryClass::Critical,
        event: notice.name().to_owned(),
        data: notice.data(),
    };
    house.line.publish(&key().user, &told).await.unwrap();
}

/// The socket was told of the end of its session, and of nothing else.
async fn assert_ended(socket: &Native) {
    assert_eq!(socket.closed().await.code, 4403);
    let told: Vec<_> = socket.unread().into_iter().map(|event| event.name).collect();
    assert_eq!(told, ["security:session_expired"]);
}

/// The worker of the test opens sessions and looks at nothing else.
#[tokio::test]
async fn a_socket_whose_session_ends_before_the_bus_is_heard_for_it_does_not_go_live() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    house.line.hold("subscribe");
    let token = house.token("u");
    let (late, ()) = tokio::join!(Native::connect(&house.endpoint, &token), async {
        house.line.held().await;
        end(&house).await;
        announce(&house).await;
        house.publish("u", AccountType::Github).await;
        house.line.let_go();
    });
    let Err(Refused::Answered { data, closed }) = late else {
        panic!("it is live");
    };
    assert_eq!((&data["error"], closed.unwrap().code), (&json!("forbidden"), 4403));
    assert_eq!((worker.done(), worker.joined().len()), (0, 0));
}

#[tokio::test]
async fn an_end_that_was_missed_is_found_when_messages_may_have_been_missed() {
    let house = House::new().await;
    let socket = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    end(&house).await;
    house.line.announce_missed().await;
    assert_ended(&socket).await;
}

#[tokio::test]
async fn what_follows_a_loss_does_not_reach_a_socket_whose_end_was_lost_with_it() {
    let house = House::new().await;
    let socket = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.silence(true);
    end(&house).await;
    announce(&house).await;
    for _ in 0..299 {
        house.publish("u", AccountType::Github).await;
    }
    wait::until_true("the announcements to be lost", wait::deadline(), async || {
        house.line.lost() == 300
    })
    .await;
    house.line.silence(false);
    house.publish("u", AccountType::Discord).await;
    assert_ended(&socket).await;
}

#[tokio::test]
async fn what_follows_its_end_does_not_reach_a_socket() {
    let house = House::new().await;
    let socket = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.silence(true);
    announce(&house).await;
    for _ in 0..20 {
        house.publish("u", AccountType::Github).await;
    }
    wait::until_true("the announcements to be lost", wait::deadline(), async || {
        house.line.lost() == 21
    })
    .await;
    house.line.silence(false);
    // Read in the log, all at once.
    house.publish("u", AccountType::Discord).await;
    assert_ended(&socket).await;
}

#[tokio::test]
async fn a_command_whose_socket_is_found_ended_on_its_way_is_not_queued() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let socket = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.hold("admit");
    let update =
        json!({"event": "security:update_settings", "data": {"userId": "u", "settings": {"sessionTimeout": 1}}});
    socket.send_text(update.to_string()).await;
    house.line.held().await;
    announce(&house).await;
    let expired = socket.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("ended"));
    house.line.let_go();
    assert_eq!(socket.closed().await.code, 4403);
    // Whatever was queued before this is done before it.
    let other = Native::connect(&house.endpoint, &house.token("v")).await.unwrap();
    other.request("account:list", json!({})).await;
    assert!(worker.jobs().iter().all(|job| job.user.as_str() == "v"));
}
