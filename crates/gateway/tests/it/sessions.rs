//! Ways in which an authenticated socket ends, disconnects and reconnects.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::token::claims;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::{Worker, reply};

#[tokio::test]
async fn socket_closes_when_its_token_expires() {
    let gateway = TestGateway::new().await;
    let token = gateway.signer.sign(&claims("u", Duration::from_secs(2)));
    let native = Native::connect(&gateway.endpoint, &token).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &token).await.unwrap();
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
        "the client does not reconnect with the same token"
    );
}

#[tokio::test]
async fn unknown_namespace_is_refused_and_socket_stays() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let mut wire = gateway.endpoint.open().await.unwrap();
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
    let token = gateway.token("u");
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
async fn socketio_client_can_reconnect_on_the_same_websocket() {
    let gateway = TestGateway::with(|settings| settings.timing.authentication = Duration::from_millis(700)).await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let first = client.connect_answer();
    client.send_text("41").await;
    let token = gateway.token("v");
    client.send_text(format!("40{{\"token\":\"{token}\"}}")).await;
    wait::until_true("the second answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != first
    })
    .await;
    assert!(gateway.bus.is_subscribed("v"));
    assert!(!gateway.bus.is_subscribed("u"), "the first subscription was released");

    client.send_text("41").await;
    assert_eq!(
        client.closed().await.code,
        4408,
        "a silent client is closed after DISCONNECT"
    );
}

#[tokio::test]
async fn reply_for_previous_user_is_not_delivered_after_reconnect() {
    let gateway = TestGateway::new().await;
    let worker = Worker::answering(&gateway, |_| None);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let first = client.connect_answer();
    client.emit("account:list", json!({})).await;
    wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1).await;
    client.send_text("41").await;
    client
        .send_text(format!("40{{\"token\":\"{}\"}}", gateway.token("v")))
        .await;
    wait::until_true("the second answer to CONNECT", wait::deadline(), async || {
        client.connect_answer() != first
    })
    .await;

    let data = Json::of(&json!({ "success": true }));
    reply(
        &**gateway.bus.inner(),
        &worker.last(),
        JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data,
        },
    )
    .await;
    // This event comes after the place of the dropped reply.
    gateway.publish("v", AccountType::Github).await;
    assert_eq!(client.next().await.name, "account:status_changed");
}

#[tokio::test]
async fn event_after_disconnect_closes_the_socket() {
    let gateway = TestGateway::new().await;
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    client.send_text("41").await;
    client.emit("account:list", json!({})).await;
    assert_eq!(client.closed().await.code, 4400);
}
