//! A client that lost its socket comes back to its place, or is told that it cannot.

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

use crate::house::House;
use crate::worker::Worker;

const KINDS: [AccountType; 4] = AccountType::ALL;

fn seq(event: &Event) -> u64 {
    seq_of(event.offset.as_deref().unwrap())
}

fn seq_of(offset: &str) -> u64 {
    offset.rsplit_once('-').unwrap().1.parse().unwrap()
}

/// The next `count` places that a client hears.
async fn hears(client: &testkit::client::socket::Socket, count: usize) -> Vec<u64> {
    let mut heard = Vec::new();
    for _ in 0..count {
        heard.push(seq(&client.next().await));
    }
    heard
}

async fn publish(house: &House, count: usize) {
    for number in 0..count {
        house.publish("u", KINDS[number % 4]).await;
    }
}

/// A plain WebSocket that comes back with what `ready` said and this offset.
async fn native_again(house: &House, ready: &Value, offset: Option<&str>) -> Native {
    let resume = match offset {
        Some(offset) => json!({ "resumeToken": ready["resumeToken"], "offset": offset }),
        None => json!({ "resumeToken": ready["resumeToken"] }),
    };
    let auth = json!({ "token": house.token("u"), "resume": resume });
    Native::to(&house.endpoint).auth(auth).connect().await.unwrap()
}

/// What the official client sends when it comes back.
fn auth(house: &House, answer: &Value, offset: Option<&str>) -> Value {
    let mut auth = json!({ "pid": answer["pid"], "token": house.token("u") });
    if let Some(offset) = offset {
        auth["offset"] = offset.into();
    }
    auth
}

async fn socketio_again(house: &House, answer: &Value, offset: Option<&str>) -> SocketIo {
    SocketIo::to(&house.endpoint)
        .auth(auth(house, answer, offset))
        .connect()
        .await
        .unwrap()
}

fn is_recovered(before: &Value, after: &Value) -> bool {
    before["pid"].is_string() && before["pid"] == after["pid"]
}

async fn resumes(house: &House, outcome: &str, count: f64) {
    let metric = format!("postern_gateway_resumes_total{{outcome=\"{outcome}\"}}");
    house.metric_is(&metric, count).await;
}

#[tokio::test]
async fn a_plain_websocket_hears_what_it_missed_in_order_and_once() {
    let house = House::new().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    publish(&house, 3).await;
    let offset = client.next().await.offset.unwrap();
    let before = client.ready();
    assert_eq!((before["recovered"].as_bool(), seq_of(&offset)), (Some(false), 1));
    drop(client);
    publish(&house, 2).await;

    let client = native_again(&house, &before, Some(&offset)).await;
    let ready = client.ready();
    assert_eq!(ready["recovered"], true);
    assert_eq!(ready["resumeToken"], before["resumeToken"]);
    assert_eq!(ready["offset"], offset.as_str(), "events after this one come");
    publish(&house, 1).await;
    assert_eq!(hears(&client, 5).await, [2, 3, 4, 5, 6]);
    resumes(&house, "recovered", 1.0).await;
}

#[tokio::test]
async fn a_socketio_client_keeps_pid_and_sid_and_hears_what_it_missed() {
    let house = House::new().await;
    for msgpack in [false, true] {
        let connect = |auth: Value| {
            let to = SocketIo::to(&house.endpoint).auth(auth);
            if msgpack { to.msgpack() } else { to }
        };
        let client = connect(json!({ "token": house.token("u") })).connect().await.unwrap();
        publish(&house, 1).await;
        let offset = client.next().await.offset.unwrap();
        let before = client.connect_answer();
        drop(client);
        publish(&house, 2).await;

        let client = connect(auth(&house, &before, Some(&offset))).connect().await.unwrap();
        assert_eq!(client.connect_answer(), before);
        publish(&house, 1).await;
        let next = seq_of(&offset) + 1;
        assert_eq!(hears(&client, 3).await, [next, next + 1, next + 2]);
    }
}

#[tokio::test]
async fn a_client_that_has_heard_nothing_yet_comes_back_to_where_it_began() {
    let house = House::new().await;
    publish(&house, 2).await;
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let (ready, answer) = (native.ready(), socketio.connect_answer());
    drop((native, socketio));
    publish(&house, 2).await;
    // Twice: what was sent to a client is not known to have been handled.
    for _ in 0..2 {
        let native = native_again(&house, &ready, None).await;
        let socketio = socketio_again(&house, &answer, None).await;
        assert_eq!(native.ready()["recovered"], true);
        assert!(is_recovered(&answer, &socketio.connect_answer()));
        assert_eq!(hears(&native, 2).await, [3, 4]);
        assert_eq!(hears(&socketio, 2).await, [3, 4]);
    }
}

#[tokio::test]
async fn what_is_published_while_a_client_comes_back_is_heard_once_too() {
    let house = House::with(|settings| settings.connect_rate = None).await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let _neighbour = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let ready = client.ready();
    let mut offset = ready["offset"].as_str().unwrap().to_owned();
    drop(client);
    for _ in 0..30 {
        // Events come before, while and after the client comes back.
        let publishes = async {
            for number in 0..60 {
                house.publish("u", KINDS[number % 4]).await;
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(native_again(&house, &ready, Some(&offset)), publishes);
        publish(&house, 1).await;
        assert_eq!(client.ready()["recovered"], true);
        let last = seq_of(&offset);
        assert_eq!(hears(&client, 61).await, (last + 1..=last + 61).collect::<Vec<_>>());
        let (epoch, _) = offset.rsplit_once('-').unwrap();
        offset = format!("{epoch}-{}", last + 61);
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_its_user_and_session_alone() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let before = client.connect_answer();
    let mut other_session = claims("u", Duration::from_secs(60));
    other_session["sid"] = "another".into();
    for token in [house.token("v"), house.signer.sign(&other_session)] {
        let auth = json!({ "pid": before["pid"], "token": token });
        let foreign = SocketIo::to(&house.endpoint).auth(auth).connect().await.unwrap();
        assert!(!is_recovered(&before, &foreign.connect_answer()));
        assert_ne!(foreign.connect_answer()["sid"], before["sid"]);
    }
    resumes(&house, "unknown", 2.0).await;
    assert!(client.is_open(), "nobody took it over");
    let client = socketio_again(&house, &before, None).await;
    assert!(is_recovered(&before, &client.connect_answer()));
}

#[tokio::test]
async fn a_good_ticket_is_no_token() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let before = client.connect_answer();
    let mut expired = auth(&house, &before, None);
    expired["token"] = house.signer.sign(&testkit::token::expired_claims("u")).into();
    let refused = SocketIo::to(&house.endpoint).auth(expired).connect().await;
    assert!(refused.is_err());
    assert!(client.is_open(), "who is refused takes nothing over");
}

#[tokio::test]
async fn an_offset_that_is_none_of_ours_is_a_fresh_start_and_ends_the_ticket() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let before = client.connect_answer();
    drop(client);
    let fresh = socketio_again(&house, &before, Some("hello")).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
    resumes(&house, "foreign_offset", 1.0).await;
    let again = socketio_again(&house, &before, None).await;
    assert!(!is_recovered(&before, &again.connect_answer()));
    publish(&house, 1).await;
    assert_eq!(hears(&fresh, 1).await, [1]);
}

#[tokio::test]
async fn a_log_that_no_longer_reaches_back_is_a_fresh_start_from_which_a_client_comes_back_again() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    publish(&house, 1).await;
    let offset = client.next().await.offset.unwrap();
    let before = client.connect_answer();
    drop(client);
    publish(&house, 257).await;

    let fresh = socketio_again(&house, &before, Some(&offset)).await;
    let answer = fresh.connect_answer();
    assert!(!is_recovered(&before, &answer));
    resumes(&house, "lost", 1.0).await;
    assert_eq!(fresh.unread().len(), 0, "no part of what is lost");
    drop(fresh);
    publish(&house, 2).await;
    // The official client has a new pid and still the old offset.
    let again = socketio_again(&house, &answer, Some(&offset)).await;
    assert!(is_recovered(&answer, &again.connect_answer()));
    assert_eq!(hears(&again, 2).await, [259, 260]);
}

#[tokio::test]
async fn a_client_that_takes_its_leave_does_not_come_back_to_its_place() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let before = client.connect_answer();
    client.disconnect().await;
    house
        .metric_is("postern_gateway_sockets{dialect=\"socketio\"}", 0.0)
        .await;
    let fresh = socketio_again(&house, &before, None).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
}

#[tokio::test]
async fn who_comes_back_ends_the_socket_that_it_left() {
    let house = House::new().await;
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let (ready, answer) = (native.ready(), socketio.connect_answer());
    let native_now = native_again(&house, &ready, None).await;
    let socketio_now = socketio_again(&house, &answer, None).await;
    for left in [&*native, &*socketio] {
        assert_eq!(left.closed().await.code, 4429);
    }
    assert!(
        socketio.received_disconnect(),
        "two of a kind would end each other for ever"
    );
    house
        .metric_is("postern_gateway_closes_total{code=\"4429\",reason=\"replaced\"}", 2.0)
        .await;
    publish(&house, 1).await;
    assert_eq!(hears(&native_now, 1).await, [1]);
    assert_eq!(hears(&socketio_now, 1).await, [1]);
    // The end of the one that was left is not the end of the ticket.
    drop(socketio_now);
    let again = socketio_again(&house, &answer, None).await;
    assert!(is_recovered(&answer, &again.connect_answer()));
}

#[tokio::test]
async fn a_hole_sends_a_socketio_client_away_and_it_does_not_come_back_to_its_place() {
    let house = House::with(|settings| settings.drain_window = Duration::from_millis(200)).await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    publish(&house, 1).await;
    let offset = client.next().await.offset.unwrap();
    house.line.silence(true);
    publish(&house, 300).await;
    wait::until_true("the announcements to be lost", wait::deadline(), async || {
        house.line.lost() == 300
    })
    .await;
    house.line.silence(false);
    publish(&house, 1).await;
    let closed = client.closed().await;
    assert_eq!(closed.code, 1012, "{closed}");
    assert!(!client.received_disconnect(), "it comes back by itself");
    assert_eq!(client.unread().len(), 0, "nothing of what came after the hole");
    house.metric_is("postern_gateway_resyncs_total", 1.0).await;
    let before = client.connect_answer();
    let fresh = socketio_again(&house, &before, Some(&offset)).await;
    assert!(!is_recovered(&before, &fresh.connect_answer()));
}

#[tokio::test]
async fn a_client_that_wants_no_recovery_gets_no_ticket_and_redeems_none() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let mut exact = auth(&house, &client.connect_answer(), None);
    exact["recovery"] = false.into();
    let without = SocketIo::to(&house.endpoint).auth(exact).connect().await.unwrap();
    let answer = without.connect_answer();
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["sid"]);
    assert_ne!(answer["sid"], client.connect_answer()["sid"]);
    assert!(client.is_open());
}

#[tokio::test]
async fn a_ticket_that_cannot_be_looked_up_is_tried_again_later() {
    let house = House::new().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    let again = Native::to(&house.endpoint).open().await.unwrap();
    house.line.cut(true);
    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": ready["offset"] });
    again
        .emit("auth", json!({ "token": house.token("u"), "resume": resume }))
        .await;
    assert_eq!(again.closed().await.code, 1012);
    house.line.cut(false);
    publish(&house, 1).await;
    let again = native_again(&house, &ready, None).await;
    assert_eq!(hears(&again, 1).await, [1]);
}

#[tokio::test]
async fn more_than_a_queue_holds_is_replayed_to_a_peer_that_reads_late() {
    let house = House::new().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    // As much as a log holds, nearly 2 MiB; a queue holds 1.
    for number in 1..=130 {
        house
            .line
            .publish(&UserId::new("u").unwrap(), &large(number))
            .await
            .unwrap();
    }
    let mut wire = house.endpoint.open().await.unwrap();
    let upgrade = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    wire.upgrade(&upgrade).await.unwrap();
    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": ready["offset"] });
    let auth = json!({ "event": "auth", "data": { "token": house.token("u"), "resume": resume } });
    wire.send_frame(&Frame::text(auth.to_string())).await.unwrap();
    house
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 1.0)
        .await;
    publish(&house, 1).await;

    let greeting = wire.next_frame().await.unwrap();
    assert!(greeting.payload.starts_with(br#"{"event":"ready""#));
    let mut places = Vec::new();
    for _ in 0..131 {
        let frame: Value = serde_json::from_slice(&wire.next_frame().await.unwrap().payload).unwrap();
        places.push(seq_of(frame["offset"].as_str().unwrap()));
    }
    assert_eq!(places, (1..=131).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_said_to_a_session_before_a_client_came_back_is_not_said_again() {
    let house = House::new().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let ready = client.ready();
    drop(client);
    let user = UserId::new("u").unwrap();
    let to_session = Envelope {
        audience: Audience::Session(protocol::id::SessionId::new("default").unwrap()),
        ..large(1)
    };
    house.line.publish(&user, &to_session).await.unwrap();
    publish(&house, 1).await;
    let again = native_again(&house, &ready, None).await;
    assert_eq!(hears(&again, 1).await, [2]);
    house
        .line
        .publish(
            &user,
            &Envelope {
                id: EventId::new("later").unwrap(),
                ..to_session
            },
        )
        .await
        .unwrap();
    assert_eq!(again.next().await.offset, None, "what is said now is");
}

#[tokio::test]
async fn an_open_alert_is_not_told_again_to_a_client_that_missed_nothing() {
    let house = House::new().await;
    let alert = json!({ "userId": "u", "alertId": "a-1", "severity": "high", "type": "suspicious_login", "message": "is it you?",
        "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true });
    let worker = Worker::knowing(&house, vec![serde_json::from_value(alert.clone()).unwrap()]);
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    assert_eq!(client.next().await.data, alert);
    let ready = client.ready();
    drop(client);
    let back = native_again(&house, &ready, None).await;
    // Where it comes from is looked at all the same, as for the first.
    wait::until_true("a worker to be asked", wait::deadline(), async || {
        worker.looks().iter().filter(|look| look.alerts_sent).count() == 2
    })
    .await;
    let fresh = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    assert_eq!(fresh.next().await.data, alert);
    publish(&house, 1).await;
    assert_eq!(hears(&back, 1).await, [1]);
}

#[tokio::test]
async fn no_two_tickets_are_alike() {
    let house = House::new().await;
    let mut tickets = HashSet::new();
    for _ in 0..10 {
        let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
        let ticket = client.ready()["resumeToken"].as_str().unwrap().to_owned();
        assert!(ticket.len() >= 22, "128 bits: {ticket}");
        assert!(tickets.insert(ticket));
    }
}

/// An event of 15 KiB.
fn large(number: u64) -> Envelope {
    Envelope {
        v: Envelope::VERSION,
        id: EventId::new(format!("large-{number}")).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&"x".repeat(15 * 1024)),
    }
}
