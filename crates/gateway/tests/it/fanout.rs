//! Events are delivered once, in sequence and without a gap, or the client is notified of the gap.

use protocol::account::AccountType;
use serde_json::json;
use testkit::client::Event;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;

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
async fn missed_events_are_read_from_the_log_in_sequence() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.publish("u", KINDS[0]).await;
    let first = client.next().await;
    gateway.bus.drop_announcements(true);
    gateway.publish("u", KINDS[1]).await;
    gateway.publish("u", KINDS[2]).await;
    wait::until_true("the announcements to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 2
    })
    .await;
    gateway.bus.drop_announcements(false);
    gateway.publish("u", KINDS[3]).await;

    let mut events = vec![first];
    for _ in 0..3 {
        events.push(client.next().await);
    }
    assert_eq!(kinds(&events), KINDS.map(AccountType::as_str));
    assert_eq!(events.iter().map(seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn lost_last_event_is_found_after_possible_message_loss() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.drop_announcements(true);
    gateway.publish("u", KINDS[0]).await;
    wait::until_true("the announcement to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 1
    })
    .await;
    gateway.bus.drop_announcements(false);
    gateway.bus.report_missed();
    assert_eq!(seq(&client.next().await), 1);
}

#[tokio::test]
async fn trimmed_log_sends_resync_to_native_socket_and_keeps_it() {
    let gateway = TestGateway::new().await;
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.drop_announcements(true);
    for _ in 0..300 {
        gateway.publish("u", KINDS[0]).await;
    }
    wait::until_true("the announcements to be dropped", wait::deadline(), async || {
        gateway.bus.dropped_announcements() == 300
    })
    .await;
    gateway.bus.drop_announcements(false);
    gateway.publish("u", KINDS[1]).await;
    assert_eq!(native.next().await.name, "resync");
    gateway.metric_is("postern_gateway_resyncs_total", 1.0).await;
    gateway.publish("u", KINDS[2]).await;
    assert_eq!(seq(&native.next().await), 302);
}

#[tokio::test]
async fn event_burst_is_delivered_completely_and_in_sequence() {
    let gateway = TestGateway::new().await;
    let client = Native::to(&gateway.endpoint)
        .msgpack()
        .bearer(&gateway.token("u"))
        .connect()
        .await
        .unwrap();
    for number in 0..1_000 {
        gateway.publish("u", KINDS[number % 4]).await;
    }
    for number in 1..=1_000 {
        assert_eq!(seq(&client.next().await), number);
    }
}

#[tokio::test]
async fn user_channel_is_subscribed_while_a_socket_is_open() {
    let gateway = TestGateway::new().await;
    let wait_subscribed = async |expected: bool| {
        let what = if expected {
            "the subscription of u"
        } else {
            "the end of the subscription of u"
        };
        wait::until_true(what, wait::deadline(), async || {
            gateway.bus.is_subscribed("u") == expected
        })
        .await;
    };
    assert!(!gateway.bus.is_subscribed("u"));
    let first = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let second = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    wait_subscribed(true).await;
    first.close().await;
    gateway.publish("u", KINDS[0]).await;
    second.next().await;
    assert!(gateway.bus.is_subscribed("u"));
    second.disconnect().await;
    wait_subscribed(false).await;

    let open = "postern_gateway_sockets{dialect=\"native_json\"}";
    gateway.metric_is(open, 0.0).await;
    let third = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.metric_is(open, 1.0).await;
    gateway.publish("u", KINDS[1]).await;
    assert_eq!(seq(&third.next().await), 2, "earlier events are not delivered");
}

#[tokio::test]
async fn client_with_recovery_disabled_receives_no_offsets() {
    let gateway = TestGateway::new().await;
    let auth = json!({ "token": gateway.token("u"), "recovery": false });
    let exact = SocketIo::to(&gateway.endpoint)
        .auth(auth.clone())
        .connect()
        .await
        .unwrap();
    let packed = SocketIo::to(&gateway.endpoint)
        .auth(auth)
        .msgpack()
        .connect()
        .await
        .unwrap();
    let usual = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.publish("u", KINDS[0]).await;
    for client in [&exact, &packed] {
        let event = client.next().await;
        assert_eq!(event.arguments, [event.data], "one argument");
    }
    assert_eq!(usual.next().await.arguments.len(), 2);
}

#[tokio::test]
async fn socket_joining_during_bus_outage_is_closed_with_1012() {
    let gateway = TestGateway::with(|settings| settings.timing.join = std::time::Duration::from_millis(300)).await;
    let native = Native::to(&gateway.endpoint).open().await.unwrap();
    gateway.bus.cut(true);
    native.emit("auth", json!({ "token": gateway.token("u") })).await;
    let closed = native.closed().await;
    assert_eq!(closed.code, 1012, "{closed}");
    gateway.bus.cut(false);
    wait::until_true("the subscription to end", wait::deadline(), async || {
        !gateway.bus.is_subscribed("u")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_is_the_first_message_of_a_client() {
    let gateway = TestGateway::new().await;
    for round in 0..20 {
        // A new user each round, so that the subscription is created while events are published.
        let user = format!("u{round}");
        let mut wire = gateway.endpoint.open().await.unwrap();
        let upgrade = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
        let first = async {
            wire.upgrade(&upgrade.bearer(&gateway.token(&user))).await.unwrap();
            wire.next_frame().await.unwrap()
        };
        let publishes = async {
            // 250 events fit into the log, so none of them is lost.
            for number in 0..250 {
                gateway.publish(&user, KINDS[0]).await;
                if number % 10 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let (first, ()) = tokio::join!(first, publishes);
        gateway.publish(&user, KINDS[1]).await;
        assert!(first.payload.starts_with(br#"{"event":"ready""#), "{first:?}");
        let event = wire.next_frame().await.unwrap();
        assert!(
            event.payload.starts_with(br#"{"event":"account:status_changed""#),
            "{event:?}"
        );
    }
}

#[tokio::test]
async fn events_continue_from_the_offset_in_ready() {
    let gateway = TestGateway::new().await;
    let mut published = 0;
    for _ in 0..30 {
        // Events are published before, during and after the subscription.
        let client = Native::to(&gateway.endpoint)
            .auth(json!({ "token": gateway.token("u") }))
            .connect();
        let publishes = async {
            for _ in 0..20 {
                gateway.publish("u", KINDS[0]).await;
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(client, publishes);
        let client = client.unwrap();
        published += 20;
        gateway.publish("u", KINDS[1]).await;
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
async fn subscriptions_match_open_sockets_after_connection_churn() {
    let gateway = TestGateway::with(|settings| settings.connect_rate = None).await;
    let restless = (0..12).map(|number| {
        let gateway = &gateway;
        async move {
            let token = gateway.token(if number % 2 == 0 { "u" } else { "v" });
            for round in 0..8 {
                let client = Native::connect(&gateway.endpoint, &token).await.unwrap();
                // Some clients close, others drop the connection.
                if (number + round) % 3 == 0 {
                    client.close().await;
                }
            }
        }
    });
    futures_util::future::join_all(restless).await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.publish("u", KINDS[0]).await;
    assert_eq!(client.next().await.data["accountType"], KINDS[0].as_str());
    wait::until_true("the subscription of v to end", wait::deadline(), async || {
        !gateway.bus.is_subscribed("v")
    })
    .await;
    gateway
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 1.0)
        .await;
}
