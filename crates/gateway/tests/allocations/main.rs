//! Heap allocations of a gateway per event and per delivery, counted against crates/postern/tests/limits.toml.
//!
//! The gateway has a thread of its own, and only that thread's allocations are counted: those of clients and of the publisher are not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test by panicking, as the tests do"
)]

mod counted_gateway;
#[path = "../shared/loopback_gateway.rs"]
mod loopback_gateway;

use testkit::client::socket::Socket;
use testkit::limits::Limits;
use testkit::{Native, SocketIo};

use crate::counted_gateway::CountedGateway;

/// Events of each measurement. They are sent one by one, so that none shares a write with another.
const EVENTS: u64 = 100;
/// Measurements of which the least counts: a periodic task of the gateway adds to some.
const REPEATS: usize = 3;
/// Sockets that are added to the first one.
const MORE_SOCKETS: u64 = 8;

/// Dialect of a client.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    NativeJson,
    NativeMsgpack,
    SocketIoJson,
    SocketIoMsgpack,
}

impl Dialect {
    /// Part of the names of its limits.
    fn name(self) -> &'static str {
        match self {
            Self::NativeJson => "native_json",
            Self::NativeMsgpack => "native_msgpack",
            Self::SocketIoJson => "socketio_json",
            Self::SocketIoMsgpack => "socketio_msgpack",
        }
    }
}

/// Open socket.
enum Client {
    Native(Native),
    SocketIo(SocketIo),
}

impl Client {
    async fn connect(gateway: &CountedGateway, dialect: Dialect) -> Self {
        let (endpoint, token) = (gateway.endpoint(), gateway.token());
        match dialect {
            Dialect::NativeJson => Self::Native(Native::connect(endpoint, &token).await.unwrap()),
            Dialect::NativeMsgpack => {
                let native = Native::to(endpoint).msgpack().bearer(&token);
                Self::Native(native.connect().await.unwrap())
            }
            Dialect::SocketIoJson => Self::SocketIo(SocketIo::connect(endpoint, &token).await.unwrap()),
            Dialect::SocketIoMsgpack => {
                let auth = serde_json::json!({ "token": token });
                let socketio = SocketIo::to(endpoint).auth(auth).msgpack();
                Self::SocketIo(socketio.connect().await.unwrap())
            }
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Native(native) => native,
            Self::SocketIo(socketio) => socketio,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_deliveries_stay_within_their_allocations() {
    let limits = Limits::new(include_str!("../../../postern/tests/limits.toml"));
    let mut excesses = Vec::new();
    for dialect in [
        Dialect::NativeJson,
        Dialect::NativeMsgpack,
        Dialect::SocketIoJson,
        Dialect::SocketIoMsgpack,
    ] {
        let gateway = CountedGateway::start().await;
        let mut clients = vec![Client::connect(&gateway, dialect).await];
        let one = least_allocations(&gateway, &clients).await;
        for _ in 0..MORE_SOCKETS {
            clients.push(Client::connect(&gateway, dialect).await);
        }
        let all = least_allocations(&gateway, &clients).await;

        let name = dialect.name();
        let delivery = nearest(all.saturating_sub(one), EVENTS * MORE_SOCKETS);
        excesses.extend(limits.excess(&format!("allocations_event_{name}"), nearest(one, EVENTS)));
        excesses.extend(limits.excess(&format!("allocations_delivery_{name}"), delivery));
    }
    assert_eq!(excesses, Vec::<String>::new());
}

/// Least number of allocations of several deliveries of all events.
async fn least_allocations(gateway: &CountedGateway, clients: &[Client]) -> u64 {
    // Queues and buffers grow with the first events.
    deliver(gateway, clients).await;
    let mut least = u64::MAX;
    for _ in 0..REPEATS {
        least = least.min(gateway.allocations(deliver(gateway, clients)).await);
    }
    least
}

/// Quotient, rounded.
fn nearest(total: u64, parts: u64) -> u64 {
    (total + parts / 2) / parts
}

/// Publishes the events, each after the one before has reached every client.
async fn deliver(gateway: &CountedGateway, clients: &[Client]) {
    for _ in 0..EVENTS {
        gateway.publish().await;
        for client in clients {
            client.socket().next().await;
        }
    }
}
