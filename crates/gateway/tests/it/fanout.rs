//! Events arrive once, in order and without a hole, or the client is told.

use protocol::account::AccountType;
use serde_json::json;
use testkit::client::Event;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};

use crate::house::House;

const KINDS: [AccountType; 4] = AccountType::ALL;

fn kinds(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.data["accountType"].as_str().unwrap())
        .collect()
}

fn seq(event: &Event) -> u64 {
    let offset = event.offset.as_deref().unwrap();
    offset.rsplit_once('-').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn what_was_not_heard_is_read_from_the_log_in_order() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.publish("u", KINDS[0]).await;
    let first = client.next().await;
    house.line.silence(true);
    house.publish("u", KINDS[1]).await;
    house.publish("u", KINDS[2]).await;
    wait::until_true("the announcements to be lost", wait::deadline(), async || {
        house.line.lost() == 2
    })
    .await;
    house.line.silence(false);
    house.publish("u", KINDS[3]).await;

    let mut events = vec![first];
    for _ in 0..3 {
        events.push(client.next().await);
    }
    assert_eq!(kinds(&events), KINDS.map(AccountType::as_str));
    assert_eq!(events.iter().map(seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_lost_last_event_is_found_when_messages_may_have_been_missed() {
    let house = House::new().await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.silence(true);
    house.publish("u", KINDS[0]).await;
    wait::until_true("the announcement to be lost", wait::deadline(), async || {
        house.line.lost() == 1
    })
    .await;
    house.line.silence(false);
    house.line.announce_missed().await;
    assert_eq!(seq(&client.next().await), 1);
}

#[tokio::test]
async fn what_the_log_no_longer_has_is_told_to_plain_websockets_which_go_on() {
    let house = House::new().await;
    let native = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.line.silence(true);
    for _ in 0..300 {
        house.publish("u", KINDS[0]).await;
    }
    wait::until_true("the announcements to be lost", wait::deadline(), async || {
        house.line.lost() == 300
    })
    .await;
    house.line.silence(false);
    house.publish("u", KINDS[1]).await;
    assert_eq!(native.next().await.name, "resync");
    house.metric_is("postern_gateway_resyncs_total", 1.0).await;
    house.publish("u", KINDS[2]).await;
    assert_eq!(seq(&native.next().await), 302);
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let house = House::new().await;
    let client = Native::to(&house.endpoint)
        .msgpack()
        .bearer(&house.token("u"))
        .connect()
        .await
        .unwrap();
    for number in 0..1_000 {
        house.publish("u", KINDS[number % 4]).await;
    }
    for number in 1..=1_000 {
        assert_eq!(seq(&client.next().await), number);
    }
}

#[tokio::test]
async fn a_user_is_listened_for_while_there_is_a_socket() {
    let house = House::new().await;
    let listens = async |expected: bool| {
        let what = if expected {
            "to listen for u"
        } else {
            "not to listen for u"
        };
        wait::until_true(what, wait::deadline(), async || house.line.listens_for("u") == expected).await;
    };
    assert!(!house.line.listens_for("u"));
    let first = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let second = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    listens(true).await;
    first.close().await;
    house.publish("u", KINDS[0]).await;
    second.next().await;
    assert!(house.line.listens_for("u"));
    second.disconnect().await;
    listens(false).await;

    let open = "postern_gateway_sockets{dialect=\"native_json\"}";
    house.metric_is(open, 0.0).await;
    let third = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.metric_is(open, 1.0).await;
    house.publish("u", KINDS[1]).await;
    assert_eq!(seq(&third.next().await), 2, "what came before it is not delivered");
}

#[tokio::test]
async fn a_client_without_recovery_gets_its_events_without_offset() {
    let house = House::new().await;
    let auth = json!({ "token": house.token("u"), "recovery": false });
    let exact = SocketIo::to(&house.endpoint)
        .auth(auth.clone())
        .connect()
        .await
        .unwrap();
    let packed = SocketIo::to(&house.endpoint)
        .auth(auth)
        .msgpack()
        .connect()
        .await
        .unwrap();
    let usual = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.publish("u", KINDS[0]).await;
    for client in [&exact, &packed] {
        let event = client.next().await;
        assert_eq!(event.arguments, [event.data], "one argument");
    }
    assert_eq!(usual.next().await.arguments.len(), 2);
}

#[tokio::test]
async fn a_socket_that_comes_while_the_bus_goes_is_sent_away_to_try_again() {
    let house = House::with(|settings| settings.timing.join = std::time::Duration::from_millis(300)).await;
    let native = Native::to(&house.endpoint).open().await.unwrap();
    house.line.cut(true);
    native.emit("auth", json!({ "token": house.token("u") })).await;
    let closed = native.closed().await;
    assert_eq!(closed.code, 1012, "{closed}");
    house.line.cut(false);
    wait::until_true("the ear to be closed", wait::deadline(), async || {
        !house.line.listens_for("u")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_greeting_is_the_first_thing_a_client_hears() {
    let house = House::new().await;
    for round in 0..20 {
        // A new user each time: the room is opened while its events come.
        let user = format!("u{round}");
        let mut wire = house.endpoint.open().await.unwrap();
        let upgrade = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
        let first = async {
            wire.upgrade(&upgrade.bearer(&house.token(&user))).await.unwrap();
            wire.next_frame().await.unwrap()
        };
        let publishes = async {
            // 250 are fewer than the log holds, so none of them is lost.
            for number in 0..250 {
                house.publish(&user, KINDS[0]).await;
                if number % 10 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let (first, ()) = tokio::join!(first, publishes);
        house.publish(&user, KINDS[1]).await;
        assert!(first.payload.starts_with(br#"{"event":"ready""#), "{first:?}");
        let event = wire.next_frame().await.unwrap();
        assert!(
            event.payload.starts_with(br#"{"event":"account:status_changed""#),
            "{event:?}"
        );
    }
}

#[tokio::test]
async fn events_follow_the_offset_that_a_client_is_told() {
    let house = House::new().await;
    let mut published = 0;
    for _ in 0..30 {
        // Events come before, while and after the client takes its seat.
        let client = Native::to(&house.endpoint)
            .auth(json!({ "token": house.token("u") }))
            .connect();
        let publishes = async {
            for _ in 0..20 {
                house.publish("u", KINDS[0]).await;
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(client, publishes);
        let client = client.unwrap();
        published += 20;
        house.publish("u", KINDS[1]).await;
        published += 1;

        let offset = client.ready()["offset"].as_str().unwrap().to_owned();
        let mut last: u64 = offset.rsplit_once('-').unwrap().1.parse().unwrap();
        while last < published {
            let event = client.next().await;
            assert_eq!(seq(&event), last + 1, "after {offset}");
            last += 1;
        }
    }
}

#[tokio::test]
async fn however_sockets_come_and_go_who_is_there_is_heard_and_who_is_not_is_not() {
    let house = House::with(|settings| settings.connect_rate = None).await;
    let restless = (0..12).map(|number| {
        let house = &house;
        async move {
            let token = house.token(if number % 2 == 0 { "u" } else { "v" });
            for round in 0..8 {
                let client = Native::connect(&house.endpoint, &token).await.unwrap();
                // Some close and some are simply gone.
                if (number + round) % 3 == 0 {
                    client.close().await;
                }
            }
        }
    });
    futures_util::future::join_all(restless).await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.publish("u", KINDS[0]).await;
    assert_eq!(client.next().await.data["accountType"], KINDS[0].as_str());
    wait::until_true("v to be forgotten", wait::deadline(), async || {
        !house.line.listens_for("v")
    })
    .await;
    house
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 1.0)
        .await;
}
