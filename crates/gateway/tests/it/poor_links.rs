//! A client at the edge of its cell: late, lossy and narrow, and alive.

use std::time::Duration;

use testkit::chaos::Quality;
use testkit::client::socket::Socket;
use testkit::{Native, Proxy, SocketIo, wait};

use crate::house::House;

/// One packet in five is lost, and each is 200 to 400 ms under way.
fn poor() -> Quality {
    Quality {
        latency: Duration::from_millis(200)..Duration::from_millis(400),
        loss: 20,
        retransmit_after: Duration::from_millis(300)..Duration::from_millis(600),
        bytes_per_second: 256_000 / 8,
    }
}

#[tokio::test]
async fn a_lossy_late_and_narrow_link_is_not_taken_for_dead_and_every_event_comes_in_order() {
    // A ping each half second, so that many of them meet a loss.
    let house = House::with(|settings| {
        settings.heartbeat.interval = Duration::from_millis(500);
        settings.heartbeat.timeout = Duration::from_secs(10);
    })
    .await;
    let link = Proxy::start(house.endpoint.addr()).await;
    link.degrade(poor(), 20_261_129);
    let endpoint = house.endpoint.at(link.addr());
    let token = house.token("u");
    let (native, socketio) = tokio::join!(Native::connect(&endpoint, &token), SocketIo::connect(&endpoint, &token));
    let (native, socketio) = (native.unwrap(), socketio.unwrap());
    for number in 0..EVENTS {
        house.publish_alert("u", number, 700).await;
    }
    tokio::join!(served(&native), served(&socketio));
    assert_eq!(link.connections(), 2, "nobody had to come back");
}

/// Every event in its order, and heartbeats meanwhile and after.
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
