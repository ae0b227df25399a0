//! A killed gateway ends as its process would: without a Close frame, and without a change of the cluster's state.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use protocol::account::AccountType;
use protocol::id::{NodeId, UserId};
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};
use tokio::net::{TcpListener, TcpStream};

use crate::test_gateway::TestGateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_gateway_closes_its_sockets_without_a_frame_and_leaves_them_to_its_lease() {
    let node = NodeId::new("gw-1").unwrap();
    let id = node.clone();
    let gateway = TestGateway::with(|settings| settings.node = Some(id)).await;
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.publish("u", AccountType::Github).await;
    native.next_event("account:status_changed").await;
    let addr = gateway.endpoint.addr();

    let bus = Arc::clone(gateway.kill().await.inner());
    for socket in [&*native, &*socketio] {
        let closed = socket.closed().await;
        assert_eq!((closed.code, closed.reason.as_str()), (1006, ""));
    }
    assert!(!socketio.received_disconnect());
    assert!(TcpStream::connect(addr).await.is_err());
    TcpListener::bind(addr).await.unwrap();
    // As if its lease had not expired yet.
    bus.renew_node(&node, 10 * wait::deadline()).await.unwrap();
    let left = bus.open_sockets(&UserId::new("u").unwrap()).await.unwrap();
    assert_eq!(left.len(), 2, "no entry was removed: {left:?}");
}

#[tokio::test]
async fn further_routes_are_served_beside_those_of_every_gateway() {
    let routes = Router::new().route("/demo", get(|| async { "a page" }));
    let gateway = TestGateway::with(|settings| settings.further_routes = routes).await;
    let status = async |path: &str| gateway.endpoint.http(&Request::get(path)).await.unwrap().status;
    assert_eq!(status("/demo").await, 200);
    assert_eq!(status("/demo/api/token").await, 404);
    assert_eq!(status("/oauth/callback/nowhere").await, 404);
    let usual = TestGateway::new().await;
    assert_eq!(usual.endpoint.http(&Request::get("/demo")).await.unwrap().status, 404);
}
