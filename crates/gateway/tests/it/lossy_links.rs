//! Sockets on a lossy, slow link stay open.

use std::time::Duration;

use testkit::chaos::Quality;
use testkit::client::socket::Socket;
use testkit::{Native, Proxy, SocketIo, wait};

use crate::test_gateway::TestGateway;

/// Returns a link with 20 % loss and 200 to 400 ms latency.
fn poor() -> Quality {
    Quality {
        latency: Duration::from_millis(200)..Duration::from_millis(400),
        loss: 20,
        retransmit_after: Duration::from_millis(300)..Duration::from_millis(600),
        bytes_per_second: 256_000 / 8,
    }
}

#[tokio::test]
async fn lossy_slow_link_stays_open_and_receives_all_events_in_sequence() {
    // A ping every 500 ms, so that many of them are lost.
    let gateway = TestGateway::with(|settings| {
        settings.heartbeat.interval = Duration::from_millis(500);
        settings.heartbeat.timeout = Duration::from_secs(10);
    })
    .await;
    let link = Proxy::start(gateway.endpoint.addr()).await;
    link.degrade(poor(), 20_261_129);
    let endpoint = gateway.endpoint.at(link.addr());
    let token = gateway.token("u");
    let (native, socketio) = tokio::join!(Native::connect(&endpoint, &token), SocketIo::connect(&endpoint, &token));
    let (native, socketio) = (native.unwrap(), socketio.unwrap());
    for number in 0..EVENTS {
        gateway.publish_alert("u", number, 700).await;
    }
    tokio::join!(served(&native), served(&socketio));
    assert_eq!(link.connections(), 2, "nobody had to come back");
}

/// Asserts that all events arrive in sequence, and that heartbeats continue.
async fn served(socket: &Socket) {
    for number in 0..EVENTS {
        let event = socket.next().await;
        assert_eq!(
            (event.name.as_str(), &event.data["number"]),
            ("security:alert", &number.into())
        );
    }
    let pings = socket.pings();
    wait::until_true("heartbeats to go on", wait::deadline(), async || {
        socket.pings() > pings + 1
    })
    .await;
    assert!(socket.is_open());
}

const EVENTS: usize = 40;
