//! A slow consumer is closed at the limit of its queue, without effect on others.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::frame::Frame;
use testkit::{Native, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Starts a worker that answers every command with 60 KiB.
fn large_responses(gateway: &TestGateway) -> Worker {
    Worker::answering(gateway, |_| {
        Some(JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data: Json::of(&json!({ "success": true, "padding": "x".repeat(60 * 1024) })),
        })
    })
}

#[tokio::test]
async fn full_queue_closes_its_socket_only() {
    let gateway = TestGateway::with(|settings| {
        settings.event_rate = None;
        settings.timing.close = Duration::from_millis(200);
    })
    .await;
    let _worker = large_responses(&gateway);
    let neighbour = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let mut stalled = gateway.wire("u").await;
    let full = "postern_gateway_closes_total{code=\"4413\",reason=\"queue_full\"}";
    let frame = Frame::text(r#"{"event":"account:list"}"#);
    wait::until_true("the queue to be full", wait::deadline(), async || {
        // 17 replies fill the queue of 1 MiB. Further ones are buffered by TLS and two kernels.
        drop(stalled.send_frame(&frame).await);
        gateway.metric(full) > 0.5
    })
    .await;
    gateway.publish("u", AccountType::Github).await;
    assert_eq!(neighbour.next().await.data["accountType"], "github");
}

#[tokio::test]
async fn stalled_peer_is_closed() {
    let gateway = TestGateway::with(|settings| {
        settings.event_rate = None;
        settings.timing.write = Duration::from_millis(500);
        settings.timing.close = Duration::from_millis(200);
    })
    .await;
    let _worker = large_responses(&gateway);
    let mut peer = gateway.wire("u").await;
    let stalled = "postern_gateway_closes_total{code=\"4413\"";
    let frame = Frame::text(r#"{"event":"account:list"}"#);
    wait::until_true("the peer to be given up", wait::deadline(), async || {
        drop(peer.send_frame(&frame).await);
        gateway.metric(&format!("{stalled},reason=\"stalled\"}}"))
            + gateway.metric(&format!("{stalled},reason=\"queue_full\"}}"))
            > 0.5
    })
    .await;
}

#[tokio::test]
async fn stalled_sockets_are_closed_within_the_queue_limit_and_others_receive_all_events_once() {
    let gateway = TestGateway::with(|settings| settings.timing.close = Duration::ZERO).await;
    let users = ["a", "b", "c"];
    let mut readers = Vec::new();
    let mut stalled_wires = Vec::new();
    for user in users {
        for _ in 0..6 {
            readers.push(Native::connect(&gateway.endpoint, &gateway.token(user)).await.unwrap());
        }
        stalled_wires.push(gateway.wire(user).await);
    }
    let full = "postern_gateway_closes_total{code=\"4413\",reason=\"queue_full\"}";
    let mut sent = 0;
    while gateway.metric(full) < 2.5 {
        assert!(
            sent * ALERT < BOUND,
            "{} of 3 closed after {sent} alerts",
            gateway.metric(full)
        );
        for user in users {
            gateway.publish_alert(user, sent, ALERT).await;
        }
        // A delay caused by a slow consumer would show here.
        for socket in &readers {
            let alert = socket.next().await;
            assert_eq!((&alert.data["number"], alert.offset.is_some()), (&json!(sent), true));
        }
        sent += 1;
    }
    assert!(
        readers
            .iter()
            .all(|socket| socket.unread().is_empty() && socket.is_open())
    );
    gateway
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 18.0)
        .await;
}

/// Size of an alert, in bytes.
const ALERT: usize = 12 * 1024;
/// Maximum of buffered bytes per socket: 1 MiB in its queue, a batch of messages in TLS, 256 KiB in the gateway's kernel, and the
/// client's receive buffer. The default send buffer of Linux alone may grow to 4 MiB.
const BOUND: usize = 3 * 1024 * 1024;
