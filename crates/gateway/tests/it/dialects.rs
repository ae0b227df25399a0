//! All four dialects receive the same events and replies.

use protocol::account::AccountType;
use serde_json::json;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn command_gets_response_event_and_ack() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let token = gateway.token("u");
    for connect in [
        SocketIo::to(&gateway.endpoint),
        SocketIo::to(&gateway.endpoint).msgpack(),
    ] {
        let client = connect.auth(json!({ "token": token })).connect().await.unwrap();
        let ack = client.emit_with_ack("account:list", json!({})).await;
        let event = client.next_event("account:list_response").await;
        assert_eq!(ack, json!({ "success": true, "of": "u" }));
        assert_eq!(event.arguments, [ack, json!(null)], "the same object, and no offset");
    }
    for connect in [Native::to(&gateway.endpoint), Native::to(&gateway.endpoint).msgpack()] {
        let client = connect.bearer(&token).connect().await.unwrap();
        let answer = client.request("account:list", json!({})).await;
        assert_eq!(answer.name, "account:list_response");
        assert_eq!(answer.data, json!({ "success": true, "of": "u" }));
    }
    assert_eq!(worker.done(), 4);
}

#[tokio::test]
async fn event_reaches_all_sockets_of_a_user_with_one_offset() {
    let gateway = TestGateway::new().await;
    let token = gateway.token("u");
    let auth = json!({ "token": token });
    let socketio = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
    let packed = SocketIo::to(&gateway.endpoint)
        .auth(auth)
        .msgpack()
        .connect()
        .await
        .unwrap();
    let native = Native::connect(&gateway.endpoint, &token).await.unwrap();
    let native_packed = Native::to(&gateway.endpoint)
        .msgpack()
        .bearer(&token)
        .connect()
        .await
        .unwrap();
    let stranger = Native::connect(&gateway.endpoint, &gateway.token("other"))
        .await
        .unwrap();

    gateway.publish("u", AccountType::Github).await;
    gateway.publish("other", AccountType::Discord).await;
    let mut received = Vec::new();
    for socket in [&*socketio, &*packed, &*native, &*native_packed] {
        received.push(socket.next().await);
    }
    for event in &received {
        assert_eq!(event.name, "account:status_changed");
        assert_eq!(event.data["timestamp"], "2026-11-23T16:31:00.007Z");
        assert_eq!(event.data, received[0].data);
        assert!(event.offset.is_some());
        assert_eq!(event.offset, received[0].offset);
    }
    assert_eq!(stranger.next().await.data["userId"], "other");
}
