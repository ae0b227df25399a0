//! Both ways in, in all four dialects: the same events, the same answers.

use protocol::account::AccountType;
use serde_json::json;
use testkit::{Native, SocketIo};

use crate::house::House;
use crate::worker::Worker;

#[tokio::test]
async fn a_command_is_answered_with_its_response_event_and_its_ack() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let token = house.token("u");
    for connect in [SocketIo::to(&house.endpoint), SocketIo::to(&house.endpoint).msgpack()] {
        let client = connect.auth(json!({ "token": token })).connect().await.unwrap();
        let ack = client.emit_with_ack("account:list", json!({})).await;
        let event = client.next_event("account:list_response").await;
        assert_eq!(ack, json!({ "success": true, "of": "u" }));
        assert_eq!(event.arguments, [ack, json!(null)], "the same object, and no offset");
    }
    for connect in [Native::to(&house.endpoint), Native::to(&house.endpoint).msgpack()] {
        let client = connect.bearer(&token).connect().await.unwrap();
        let answer = client.request("account:list", json!({})).await;
        assert_eq!(answer.name, "account:list_response");
        assert_eq!(answer.data, json!({ "success": true, "of": "u" }));
    }
    assert_eq!(worker.done(), 4);
}

#[tokio::test]
async fn an_event_reaches_every_socket_of_its_user_with_the_same_offset() {
    let house = House::new().await;
    let token = house.token("u");
    let auth = json!({ "token": token });
    let socketio = SocketIo::connect(&house.endpoint, &token).await.unwrap();
    let packed = SocketIo::to(&house.endpoint)
        .auth(auth)
        .msgpack()
        .connect()
        .await
        .unwrap();
    let native = Native::connect(&house.endpoint, &token).await.unwrap();
    let native_packed = Native::to(&house.endpoint)
        .msgpack()
        .bearer(&token)
        .connect()
        .await
        .unwrap();
    let stranger = Native::connect(&house.endpoint, &house.token("other")).await.unwrap();

    house.publish("u", AccountType::Github).await;
    house.publish("other", AccountType::Discord).await;
    let mut heard = Vec::new();
    for socket in [&*socketio, &*packed, &*native, &*native_packed] {
        heard.push(socket.next().await);
    }
    for event in &heard {
        assert_eq!(event.name, "account:status_changed");
        assert_eq!(event.data["timestamp"], "2026-11-23T16:31:00.007Z");
        assert_eq!(event.data, heard[0].data);
        assert!(event.offset.is_some());
        assert_eq!(event.offset, heard[0].offset);
    }
    assert_eq!(stranger.next().await.data["userId"], "other");
}
