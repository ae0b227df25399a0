//! How a live socket ends, leaves and comes back.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::token::claims;
use testkit::{Native, SocketIo, wait};

use crate::house::House;
use crate::worker::{Worker, reply};

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let house = House::new().await;
    let token = house.signer.sign(&claims("u", Duration::from_secs(2)));
    let native = Native::connect(&house.endpoint, &token).await.unwrap();
    let socketio = SocketIo::connect(&house.endpoint, &token).await.unwrap();
    for socket in [&*native, &*socketio] {
        let expired = socket.next_event("security:session_expired").await;
        assert_eq!(
            (&expired.data["userId"], &expired.data["reason"]),
            (&json!("u"), &json!("token_expired"))
        );
        assert_eq!(expired.offset, None);
        assert_eq!(socket.closed().await.code, 4401);
    }
    assert!(
        socketio.received_disconnect(),
        "it does not come back with the same token"
    );
}

#[tokio::test]
async fn another_namespace_is_refused_and_the_socket_stays() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    let mut wire = house.endpoint.open().await.unwrap();
    let upgrade = testkit::client::http::Request::upgrade("/socket.io/?EIO=4&transport=websocket");
    wire.upgrade(&upgrade).await.unwrap();
    let open = wire.next_frame().await.unwrap();
    assert_eq!(open.payload.first(), Some(&b'0'));
    let mut ask = async |text: &str| {
        let frame = testkit::client::frame::Frame::text(text);
        wire.send_frame(&frame).await.unwrap();
        String::from_utf8(wire.next_frame().await.unwrap().payload).unwrap()
    };
    let refused = r#"44/admin,{"message":"Invalid namespace"}"#;
    assert_eq!(ask("40/admin,").await, refused);
    let token = house.token("u");
    assert!(
        ask(&format!("40{{\"token\":\"{token}\"}}"))
            .await
            .starts_with(r#"40{"sid":""#)
    );
    assert_eq!(ask(r#"40/admin,{"token":"x"}"#).await, refused);
    assert!(
        ask(r#"42["account:list"]"#)
            .await
            .starts_with(r#"42["account:list_response",{"of":"u","success":true},null]"#)
    );
}

#[tokio::test]
async fn a_socketio_client_may_leave_and_connect_again_on_the_same_websocket() {
    let house = House::with(|settings| settings.timing.authentication = Duration::from_millis(700)).await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let first = client.connect_answer();
    client.send_text("41").await;
    let token = house.token("v");
    client.send_text(format!("40{{\"token\":\"{token}\"}}")).await;
    wait::until_true("the second answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != first
    })
    .await;
    assert!(house.line.listens_for("v"));
    assert!(!house.line.listens_for("u"), "the first seat was given back");

    client.send_text("41").await;
    assert_eq!(
        client.closed().await.code,
        4408,
        "who leaves and says nothing more is closed"
    );
}

#[tokio::test]
async fn whoever_comes_back_gets_no_answer_of_the_one_who_left() {
    let house = House::new().await;
    let worker = Worker::answering(&house, |_| None);
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let first = client.connect_answer();
    client.emit("account:list", json!({})).await;
    wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1).await;
    client.send_text("41").await;
    client
        .send_text(format!("40{{\"token\":\"{}\"}}", house.token("v")))
        .await;
    wait::until_true("the second answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != first
    })
    .await;

    let data = Json::of(&json!({ "success": true }));
    reply(
        &*house.line,
        &worker.last(),
        JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data,
        },
    )
    .await;
    // Events of v come after the answer would have.
    house.publish("v", AccountType::Github).await;
    assert_eq!(client.next().await.name, "account:status_changed");
}

#[tokio::test]
async fn an_event_after_leaving_ends_the_socket() {
    let house = House::new().await;
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    client.send_text("41").await;
    client.emit("account:list", json!({})).await;
    assert_eq!(client.closed().await.code, 4400);
}
