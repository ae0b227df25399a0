//! Resume: a client that lost its socket continues at its offset, or starts afresh.

use std::collections::HashSet;
use std::time::Duration;

use bus::Events;
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{EventId, UserId};
use protocol::json::Json;
use serde_json::{Value, json};
use testkit::client::Event;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::token::claims;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

const KINDS: [AccountType; 4] = AccountType::ALL;

fn seq(event: &Event) -> u64 {
    seq_of(event.offset.as_deref().unwrap())
}

fn seq_of(offset: &str) -> u64 {
    offset.rsplit_once('-').unwrap().1.parse().unwrap()
}

/// Returns the sequence numbers of the next `count` events.
async fn expect_seqs(client: &testkit::client::socket::Socket, count: usize) -> Vec<u64> {
    let mut received = Vec::new();
    for _ in 0..count {
        received.push(seq(&client.next().await));
    }
    received
}

async fn publish(gateway: &TestGateway, count: usize) {
    for number in 0..count {
        gateway.publish("u", KINDS[number % 4]).await;
    }
}

/// Resumes a native socket with the resume token of `ready` and this offset.
async fn native_again(gateway: &TestGateway, ready: &Value, offset: Option<&str>) -> Native {
    let resume = match offset {
        Some(offset) => json!({ "resumeToken": ready["resumeToken"], "offset": offset }),
        None => json!({ "resumeToken": ready["resumeToken"] }),
    };
    let auth = json!({ "token": gateway.token("u"), "resume": resume });
    Native::to(&gateway.endpoint).auth(auth).connect().await.unwrap()
}

/// Returns the `auth` object that the official client sends on resume.
fn auth(gateway: &TestGateway, answer: &Value, offset: Option<&str>) -> Value {
    let mut auth = json!({ "pid": answer["pid"], "token": gateway.token("u") });
    if let Some(offset) = offset {
        auth["offset"] = offset.into();
    }
    auth
}

async fn socketio_again(gateway: &TestGateway, answer: &Value, offset: Option<&str>) -> SocketIo {
    SocketIo::to(&gateway.endpoint)
        .auth(auth(gateway, answer, offset))
        .connect()
        .await
        .unwrap()
}

fn is_recovered(before: &Value, after: &Value) -> bool {
    before["pid"].is_string() && before["pid"] == after["pid"]
}

async fn resumes(gateway: &TestGateway, outcome: &str, count: f64) {
    let metric = format!("postern_gateway_resumes_total{{outcome=\"{outcome}\"}}");
    gateway.metric_is(&metric, count).await;
    let timed = format!("postern_gateway_resume_duration_seconds_count{{outcome=\"{outcome}\"}}");
    gateway.metric_is(&timed, count).await;
}

#[tokio::test]
async fn native_resume_replays_missed_events_once_in_sequence() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    publish(&gateway, 3).await;
    let offset = client.next().await.offset.unwrap();
    let before = client.ready();
    assert_eq!((before["recovered"].as_bool(), seq_of(&offset)), (Some(false), 1));
    drop(client);
    publish(&gateway, 2).await;

    let client = native_again(&gateway, &before, Some(&offset)).await;
    let ready = client.ready();
    assert_eq!(ready["recovered"], true);
    assert_eq!(ready["resumeToken"], before["resumeToken"]);
    assert_eq!(ready["offset"], offset.as_str(), "events after this one come");
    publish(&gateway, 1).await;
    assert_eq!(expect_seqs(&client, 5).await, [2, 3, 4, 5, 6]);
    resumes(&gateway, "recovered", 1.0).await;
}

#[tokio::test]
async fn socketio_resume_keeps_pid_and_sid_and_replays_missed_events() {
    let gateway = TestGateway::new().await;
    for msgpack in [false, true] {
        let connect = |auth: Value| {
            let to = SocketIo::to(&gateway.endpoint).auth(auth);
            if msgpack { to.msgpack() } else { to }
        };
        let client = connect(json!({ "token": gateway.token("u") })).connect().await.unwrap();
        publish(&gateway, 1).await;
        let offset = client.next().await.offset.unwrap();
        let before = client.connect_answer();
        drop(client);
        publish(&gateway, 2).await;

        let client = connect(auth(&gateway, &before, Some(&offset))).connect().await.unwrap();
        assert_eq!(client.connect_answer(), before);
        publish(&gateway, 1).await;
        let next = seq_of(&offset) + 1;
        assert_eq!(expect_seqs(&client, 3).await, [next, next + 1, next + 2]);
    }
}

#[tokio::test]
async fn resume_without_offset_replays_from_the_initial_offset() {
    let gateway = TestGateway::new().await;
    publish(&gateway, 2).await;
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let (ready, answer) = (native.ready(), socketio.connect_answer());
    drop((native, socketio));
    publish(&gateway, 2).await;
    // Twice, because sending an event does not prove that the client handled it.
    for _ in 0..2 {
        let native = native_again(&gateway, &ready, None).await;
        let socketio = socketio_again(&gateway, &answer, None).await;
        assert_eq!(native.ready()["recovered"], true);
        assert!(is_recovered(&answer, &socketio.connect_answer()));
        assert_eq!(expect_seqs(&native, 2).await, [3, 4]);
        assert_eq!(expect_seqs(&socketio, 2).await, [3, 4]);
    }
}

#[tokio::test]
async fn events_published_during_resume_are_delivered_once() {
    let gateway = TestGateway::with(|settings| settings.connect_rate = None).await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let _neighbour = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ready = client.ready();
    let mut offset = ready["offset"].as_str().unwrap().to_owned();
    drop(client);
    for _ in 0..30 {
        // Events are published before, during and after the resume.
        let publishes = async {
            for number in 0..60 {
                gateway.publish("u", KINDS[number % 4]).await;
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(native_again(&gateway, &ready, Some(&offset)), publishes);
        publish(&gateway, 1).await;
        assert_eq!(client.ready()["recovered"], true);
        let last = seq_of(&offset);
        assert_eq!(
            expect_seqs(&client, 61).await,
            (last + 1..=last + 61).collect::<Vec<_>>()
        );
        let (epoch, _) = offset.rsplit_once('-').unwrap();
        offset = format!("{epoch}-{}", last + 61);
    }
}

#[tokio::test]
async fn resume_token_is_bound_to_user_and_session() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let before = client.connect_answer();
    let mut other_session = claims("u", Duration::from_secs(60));
    other_session["sid"] = "another".into();
    for token in [gateway.token("v"), gateway.signer.sign(&other_session)] {
        let auth = json!({ "pid": before["pid"], "token": token });
        let foreign = SocketIo::to(&gateway.endpoint).auth(auth).connect().await.unwrap();
        assert!(!is_recovered(&before, &foreign.connect_answer()));
        assert_ne!(foreign.connect_answer()["sid"], before["sid"]);
    }
    resumes(&gateway, "unknown", 2.0).await;
    assert!(client.is_open(), "the socket was not replaced");
    let client = socketio_again(&gateway, &before, None).await;
    assert!(is_recovered(&before, &client.connect_answer()));
}

#[tokio::test]
async fn resume_token_does_not_replace_the_access_token() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let before = client.connect_answer();
    let mut expired = auth(&gateway, &before, None);
    expired["token"] = gateway.signer.sign(&testkit::token::expired_claims("u")).into();
    let refused = SocketIo::to(&gateway.endpoint).auth(expired).connect().await;
    assert!(refused.is_err());
    assert!(client.is_open(), "a refused client replaces nothing");
}

#[tokio::test]
async fn foreign_offset_starts_afresh_and_revokes_the_resume_token() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let before = client.connect_answer();
    drop(client);
    let fresh = socketio_again(&gateway, &before, Some("hello")).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
    resumes(&gateway, "foreign_offset", 1.0).await;
    let again = socketio_again(&gateway, &before, None).await;
    assert!(!is_recovered(&before, &again.connect_answer()));
    publish(&gateway, 1).await;
    assert_eq!(expect_seqs(&fresh, 1).await, [1]);
}

#[tokio::test]
async fn trimmed_log_starts_afresh_with_a_new_resume_token() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    publish(&gateway, 1).await;
    let offset = client.next().await.offset.unwrap();
    let before = client.connect_answer();
    drop(client);
    publish(&gateway, 257).await;

    let fresh = socketio_again(&gateway, &before, Some(&offset)).await;
    let answer = fresh.connect_answer();
    assert!(!is_recovered(&before, &answer));
    resumes(&gateway, "lost", 1.0).await;
    assert_eq!(fresh.unread().len(), 0, "no event before the gap");
    drop(fresh);
    publish(&gateway, 2).await;
    // The official client sends its new pid with its previous offset.
    let again = socketio_again(&gateway, &answer, Some(&offset)).await;
    assert!(is_recovered(&answer, &again.connect_answer()));
    assert_eq!(expect_seqs(&again, 2).await, [259, 260]);
}

#[tokio::test]
async fn client_disconnect_revokes_the_resume_token() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let before = client.connect_answer();
    client.disconnect().await;
    gateway
        .metric_is("postern_gateway_sockets{dialect=\"socketio\"}", 0.0)
        .await;
    let fresh = socketio_again(&gateway, &before, None).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
}

#[tokio::test]
async fn resume_closes_the_previous_socket() {
    let gateway = TestGateway::new().await;
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let (ready, answer) = (native.ready(), socketio.connect_answer());
    let native_now = native_again(&gateway, &ready, None).await;
    let socketio_now = socketio_again(&gateway, &answer, None).await;
    for left in [&*native, &*socketio] {
        assert_eq!(left.closed().await.code, 4429);
    }
    assert!(
        socketio.received_disconnect(),
        "without the packet two clients would replace each other forever"
    );
    gateway
        .metric_is("postern_gateway_closes_total{code=\"4429\",reason=\"replaced\"}", 2.0)
        .await;
    publish(&gateway, 1).await;
    assert_eq!(expect_seqs(&native_now, 1).await, [1]);
    assert_eq!(expect_seqs(&socketio_now, 1).await, [1]);
    // Closing the replaced socket does not revoke the resume token.
    drop(socketio_now);
    let again = socketio_again(&gateway, &answer, None).await;
    assert!(is_recovered(&answer, &again.connect_answer()));
}

#[tokio::test]
async fn event_gap_closes_socketio_client_and_prevents_resume() {
    let gateway = TestGateway::with(|settings| settings.drain_window = Duration::from_millis(200)).await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    publish(&gateway, 1).await;
    let offset = client.next().await.offset.unwrap();
    gateway.bus.drop_announcements(true);
    publish(&gateway, 300).await;
    wait::until_true("the announcements to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 300
    })
    .await;
    gateway.bus.drop_announcements(false);
    publish(&gateway, 1).await;
    let closed = client.closed().await;
    assert_eq!(closed.code, 1012, "{closed}");
    assert!(!client.received_disconnect(), "the client reconnects by itself");
    assert_eq!(client.unread().len(), 0, "no event after the gap");
    gateway.metric_is("postern_gateway_resyncs_total", 1.0).await;
    let before = client.connect_answer();
    let fresh = socketio_again(&gateway, &before, Some(&offset)).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
}

#[tokio::test]
async fn client_with_recovery_disabled_gets_and_redeems_no_resume_token() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let mut exact = auth(&gateway, &client.connect_answer(), None);
    exact["recovery"] = false.into();
    let without = SocketIo::to(&gateway.endpoint).auth(exact).connect().await.unwrap();
    let answer = without.connect_answer();
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["sid"]);
    assert_ne!(answer["sid"], client.connect_answer()["sid"]);
    assert!(client.is_open());
}

#[tokio::test]
async fn resume_during_bus_outage_closes_with_1012_and_works_after_it() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    let again = Native::to(&gateway.endpoint).open().await.unwrap();
    gateway.bus.cut(true);
    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": ready["offset"] });
    again
        .emit("auth", json!({ "token": gateway.token("u"), "resume": resume }))
        .await;
    assert_eq!(again.closed().await.code, 1012);
    resumes(&gateway, "unavailable", 1.0).await;
    gateway.bus.cut(false);
    publish(&gateway, 1).await;
    let again = native_again(&gateway, &ready, None).await;
    assert_eq!(expect_seqs(&again, 1).await, [1]);
}

#[tokio::test]
async fn replay_larger_than_the_queue_reaches_a_slow_reader() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    // Nearly 2 MiB, the capacity of the event log; the queue takes 1 MiB.
    for number in 1..=130 {
        gateway
            .bus
            .publish(&UserId::new("u").unwrap(), &large(number))
            .await
            .unwrap();
    }
    let mut wire = gateway.endpoint.open().await.unwrap();
    let upgrade = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    wire.upgrade(&upgrade).await.unwrap();
    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": ready["offset"] });
    let auth = json!({ "event": "auth", "data": { "token": gateway.token("u"), "resume": resume } });
    wire.send_frame(&Frame::text(auth.to_string())).await.unwrap();
    gateway
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 1.0)
        .await;
    publish(&gateway, 1).await;

    let greeting = wire.next_frame().await.unwrap();
    assert!(greeting.payload.starts_with(br#"{"event":"ready""#));
    let mut seqs = Vec::new();
    for _ in 0..131 {
        let frame: Value = serde_json::from_slice(&wire.next_frame().await.unwrap().payload).unwrap();
        seqs.push(seq_of(frame["offset"].as_str().unwrap()));
    }
    assert_eq!(seqs, (1..=131).collect::<Vec<_>>());
}

#[tokio::test]
async fn session_messages_before_resume_are_not_replayed() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    let user = UserId::new("u").unwrap();
    let to_session = Envelope {
        audience: Audience::Session(protocol::id::SessionId::new("default").unwrap()),
        ..large(1)
    };
    gateway.bus.publish(&user, &to_session).await.unwrap();
    publish(&gateway, 1).await;
    let again = native_again(&gateway, &ready, None).await;
    assert_eq!(expect_seqs(&again, 1).await, [2]);
    gateway
        .bus
        .publish(
            &user,
            &Envelope {
                id: EventId::new("later").unwrap(),
                ..to_session
            },
        )
        .await
        .unwrap();
    assert_eq!(again.next().await.offset, None, "new session messages are delivered");
}

#[tokio::test]
async fn open_alert_is_not_repeated_after_complete_resume() {
    let gateway = TestGateway::new().await;
    let alert = json!({ "userId": "u", "alertId": "a-1", "severity": "high", "type": "suspicious_login", "message": "is it you?",
        "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true });
    let worker = Worker::with_alerts(&gateway, vec![serde_json::from_value(alert.clone()).unwrap()]);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    assert_eq!(client.next().await.data, alert);
    let ready = client.ready();
    drop(client);
    let back = native_again(&gateway, &ready, None).await;
    // The sign-in check runs on resume as well.
    wait::until_true("a worker to be asked", wait::deadline(), async || {
        worker.checks().iter().filter(|check| check.alerts_sent).count() == 2
    })
    .await;
    let fresh = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    assert_eq!(fresh.next().await.data, alert);
    publish(&gateway, 1).await;
    assert_eq!(expect_seqs(&back, 1).await, [1]);
}

#[tokio::test]
async fn resume_tokens_are_unique() {
    let gateway = TestGateway::new().await;
    let mut tokens = HashSet::new();
    for _ in 0..10 {
        let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        let token = client.ready()["resumeToken"].as_str().unwrap().to_owned();
        assert!(token.len() >= 22, "128 bits: {token}");
        assert!(tokens.insert(token));
    }
}

/// Returns an event of 15 KiB.
fn large(number: u64) -> Envelope {
    Envelope {
        v: Envelope::VERSION,
        id: EventId::new(format!("large-{number}")).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&"x".repeat(15 * 1024)),
        traceparent: None,
        published_at: None,
    }
}
