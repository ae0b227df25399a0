//! Delivery to a client over a whole cluster: batched, compressed, in sequence.

use flate2::{Decompress, FlushDecompress};
use serde_json::{Value, json};
use testkit::client::frame::Frame;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;

use crate::stage::{POSTERN, Platforms};

/// Publishes an event through the second gateway.
async fn publish(cluster: &Cluster, event: &str, data: Value) {
    let body = json!({ "event": event, "data": data });
    let request = Request::post("/v1/users/GEN-001/events", &body).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(1).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
}

/// The JSON of a compressed message (RFC 7692, section 7.2.2).
fn inflated(frame: &Frame) -> Value {
    let mut message = Vec::with_capacity(64 * 1024);
    let mut stream = Decompress::new(false);
    for part in [&frame.payload[..], &[0, 0, 0xff, 0xff]] {
        stream
            .decompress_vec(part, &mut message, FlushDecompress::Sync)
            .unwrap();
    }
    serde_json::from_slice(&message).unwrap()
}

#[tokio::test]
async fn batched_events_arrive_as_one_compressed_message_before_urgent_ones() {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .env("POSTERN_BATCH_INTERVAL", "1h")
        .start()
        .await;
    let mut wire = cluster.endpoint(0).open().await.unwrap();
    let request = Request::upgrade("/ws")
        .header("Sec-WebSocket-Protocol", "postern.v1.json")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
    wire.upgrade(&request.bearer(&cluster.token("GEN-001"))).await.unwrap();
    let ready = wire.next_frame().await.unwrap();
    assert_eq!(ready.reserved, 0, "too short to be worth it");

    for content in ["first", "second", "third"] {
        let data = json!({
            "platform": "github", "type": "mention", "content": content.repeat(100), "sender": "octocat",
        });
        publish(&cluster, "notification:incoming", data).await;
    }
    publish(
        &cluster,
        "account:status_changed",
        json!({ "accountType": "github", "status": "connected" }),
    )
    .await;

    let batch = wire.next_frame().await.unwrap();
    assert_eq!((batch.opcode, batch.reserved), (1, 4), "text, RSV1");
    let batch = inflated(&batch);
    let contents: Vec<_> = batch
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| &frame["data"]["content"])
        .collect();
    assert_eq!(
        contents,
        ["first", "second", "third"]
            .map(|content| content.repeat(100))
            .each_ref()
    );
    let alone: Value = serde_json::from_slice(&wire.next_frame().await.unwrap().payload).unwrap();
    assert_eq!(alone["event"], "account:status_changed");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
