//! Sockets of an ended session neither receive events nor execute commands, even if the node missed the end and no worker checks
//! it.

use std::time::Duration;

use bus::{Events, SessionKey, SessionRegistry};
use lifecycle::{Clock, SystemClock};
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::{DeliveryClass, Notice};
use protocol::id::{EventId, SessionId, UserId};
use protocol::security::{SessionEnd, SessionExpired};
use protocol::time::Timestamp;
use serde_json::json;
use testkit::client::Refused;
use testkit::token::claims;
use testkit::{Native, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Returns the session key of user `u`.
fn key() -> SessionKey {
    SessionKey {
        user: UserId::new("u").unwrap(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    }
}

/// Ends the session on the bus, the first step of a worker.
async fn end(gateway: &TestGateway) {
    end_of(gateway, "u").await;
}

async fn end_of(gateway: &TestGateway, user: &str) {
    let key = SessionKey {
        user: UserId::new(user).unwrap(),
        ..key()
    };
    gateway.bus.end(&key, ENDED_AT, Duration::from_secs(60)).await.unwrap();
}

/// Publishes the end of the session, the second step of a worker.
async fn announce(gateway: &TestGateway) {
    announce_end(gateway, ENDED_AT).await;
}

async fn announce_end(gateway: &TestGateway, ended_at: Timestamp) {
    let notice = Notice::SessionExpired(SessionExpired {
        user_id: key().user,
        timestamp: ended_at,
        reason: SessionEnd::Ended,
    });
    let envelope = Envelope {
        v: Envelope::VERSION,
        id: EventId::new("the end").unwrap(),
        audience: Audience::Session(key().session),
        class: DeliveryClass::Critical,
        event: notice.name().to_owned(),
        data: notice.data(),
        traceparent: None,
        published_at: None,
    };
    gateway.bus.publish(&key().user, &envelope).await.unwrap();
}

/// Asserts that the socket was closed for the end of its session and received no other event.
async fn assert_ended(socket: &Native) {
    assert_eq!(socket.closed().await.code, 4403);
    let names: Vec<_> = socket.unread().into_iter().map(|event| event.name).collect();
    assert_eq!(names, ["security:session_expired"]);
}

#[tokio::test]
async fn close_after_an_end_is_timed_from_the_end_and_not_from_its_announcement() {
    let gateway = TestGateway::new().await;
    let socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let late = Duration::from_secs(3);
    announce_end(&gateway, Timestamp::from(SystemClock.now()).minus(late)).await;
    assert_ended(&socket).await;
    let durations = "postern_gateway_revocation_close_duration_seconds";
    gateway.metric_is(&format!("{durations}_count"), 1.0).await;
    let seconds = gateway.metric(&format!("{durations}_sum"));
    // The gateway estimates the time of the bus, and may be a millisecond behind it.
    assert!(
        seconds >= (late - Duration::from_millis(100)).as_secs_f64(),
        "{seconds}"
    );
}

/// The test's worker opens sessions and checks nothing else.
#[tokio::test]
async fn session_ended_before_subscription_refuses_the_socket() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    gateway.bus.block("subscribe");
    let token = gateway.token("u");
    let (late, ()) = tokio::join!(Native::connect(&gateway.endpoint, &token), async {
        gateway.bus.wait_blocked().await;
        end(&gateway).await;
        announce(&gateway).await;
        gateway.publish("u", AccountType::Github).await;
        gateway.bus.unblock();
    });
    let Err(Refused::Answered { data, closed }) = late else {
        panic!("the socket is open");
    };
    assert_eq!((&data["error"], closed.unwrap().code), (&json!("forbidden"), 4403));
    assert_eq!((worker.done(), worker.joined().len()), (0, 0));
}

#[tokio::test]
async fn socket_of_an_ended_session_is_refused_without_a_worker() {
    let gateway = TestGateway::new().await;
    let session = SessionKey {
        session: SessionId::new("s").unwrap(),
        ..key()
    };
    gateway
        .bus
        .end(&session, ENDED_AT, Duration::from_secs(60))
        .await
        .unwrap();
    gateway.bus.withdraw_workers(true);
    let mut claims = claims("u", wait::deadline());
    claims["sid"] = json!("s");
    let refused = Native::connect(&gateway.endpoint, &gateway.signer.sign(&claims)).await;
    let Err(Refused::Answered { data, closed }) = refused else {
        panic!("the socket is open");
    };
    assert_eq!((&data["error"], closed.unwrap().code), (&json!("forbidden"), 4403));
}

/// Messages are missed after the bus has read the session and before the gateway has entered it: the end must not be among them.
#[tokio::test]
async fn session_end_missed_during_a_join_closes_the_socket() {
    let gateway = TestGateway::new().await;
    let other = Native::connect(&gateway.endpoint, &gateway.token("v")).await.unwrap();
    gateway.bus.block("joined");
    let token = gateway.token("u");
    let (joining, ()) = tokio::join!(Native::connect(&gateway.endpoint, &token), async {
        gateway.bus.wait_blocked().await;
        gateway.bus.drop_announcements(true);
        end(&gateway).await;
        end_of(&gateway, "v").await;
        announce(&gateway).await;
        gateway.bus.report_missed();
        // All sessions that the gateway knows have been checked.
        assert_ended(&other).await;
        gateway.bus.unblock();
    });
    assert_ended(&joining.unwrap()).await;
}

#[tokio::test]
async fn missed_session_end_is_found_after_possible_message_loss() {
    let gateway = TestGateway::new().await;
    let socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    end(&gateway).await;
    gateway.bus.report_missed();
    assert_ended(&socket).await;
}

#[tokio::test]
async fn events_after_lost_session_end_are_not_delivered() {
    let gateway = TestGateway::new().await;
    let socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.drop_announcements(true);
    end(&gateway).await;
    announce(&gateway).await;
    for _ in 0..299 {
        gateway.publish("u", AccountType::Github).await;
    }
    wait::until_true("the announcements to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 300
    })
    .await;
    gateway.bus.drop_announcements(false);
    gateway.publish("u", AccountType::Discord).await;
    assert_ended(&socket).await;
}

#[tokio::test]
async fn events_after_session_end_are_not_delivered() {
    let gateway = TestGateway::new().await;
    let socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.drop_announcements(true);
    announce(&gateway).await;
    for _ in 0..20 {
        gateway.publish("u", AccountType::Github).await;
    }
    wait::until_true("the announcements to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 21
    })
    .await;
    gateway.bus.drop_announcements(false);
    // This event makes the gateway read all missed events from the log at once.
    gateway.publish("u", AccountType::Discord).await;
    assert_ended(&socket).await;
}

#[tokio::test]
async fn command_in_admission_is_dropped_when_session_ends() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let socket = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.block("admit");
    let update =
        json!({"event": "security:update_settings", "data": {"userId": "u", "settings": {"sessionTimeout": 1}}});
    socket.send_text(update.to_string()).await;
    gateway.bus.wait_blocked().await;
    announce(&gateway).await;
    let expired = socket.next_event("security:session_expired").await;
    assert_eq!(expired.data["reason"], json!("ended"));
    gateway.bus.unblock();
    assert_eq!(socket.closed().await.code, 4403);
    // The reply to this command shows that all jobs queued before it are done.
    let other = Native::connect(&gateway.endpoint, &gateway.token("v")).await.unwrap();
    other.request("account:list", json!({})).await;
    assert!(worker.jobs().iter().all(|job| job.user.as_str() == "v"));
}

const ENDED_AT: Timestamp = Timestamp::from_millis(1_795_451_460_007);
