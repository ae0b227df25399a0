//! A peer that does not read costs what its queue may hold, and nobody else anything.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::frame::Frame;
use testkit::{Native, wait};

use crate::house::House;
use crate::worker::Worker;

/// Answers every command with 60 KiB.
fn verbose(house: &House) -> Worker {
    Worker::answering(house, |_| {
        Some(JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data: Json::of(&json!({ "success": true, "padding": "x".repeat(60 * 1024) })),
        })
    })
}

#[tokio::test]
async fn a_peer_whose_queue_is_full_is_closed_and_its_neighbours_are_not() {
    let house = House::with(|settings| {
        settings.event_rate = None;
        settings.timing.close = Duration::from_millis(200);
    })
    .await;
    let _worker = verbose(&house);
    let neighbour = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let mut deaf = house.wire("u").await;
    let full = "postern_gateway_closes_total{code=\"4413\",reason=\"queue_full\"}";
    let frame = Frame::text(r#"{"event":"account:list"}"#);
    wait::until_true("the queue to be full", wait::deadline(), async || {
        // 1 MiB is 17 answers; the rest is what two kernels and TLS hold for a connection.
        drop(deaf.send_frame(&frame).await);
        house.metric(full) > 0.5
    })
    .await;
    house.publish("u", AccountType::Github).await;
    assert_eq!(neighbour.next().await.data["accountType"], "github");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let house = House::with(|settings| {
        settings.event_rate = None;
        settings.timing.write = Duration::from_millis(500);
        settings.timing.close = Duration::from_millis(200);
    })
    .await;
    let _worker = verbose(&house);
    let mut deaf = house.wire("u").await;
    let stalled = "postern_gateway_closes_total{code=\"4413\"";
    let frame = Frame::text(r#"{"event":"account:list"}"#);
    wait::until_true("the peer to be given up", wait::deadline(), async || {
        drop(deaf.send_frame(&frame).await);
        house.metric(&format!("{stalled},reason=\"stalled\"}}"))
            + house.metric(&format!("{stalled},reason=\"queue_full\"}}"))
            > 0.5
    })
    .await;
}

#[tokio::test]
async fn sockets_that_stop_reading_are_closed_within_their_bound_and_the_others_miss_and_repeat_nothing() {
    let house = House::with(|settings| settings.timing.close = Duration::ZERO).await;
    let users = ["a", "b", "c"];
    let mut hearing = Vec::new();
    let mut deaf_wires = Vec::new();
    for user in users {
        for _ in 0..6 {
            hearing.push(Native::connect(&house.endpoint, &house.token(user)).await.unwrap());
        }
        deaf_wires.push(house.wire(user).await);
    }
    let full = "postern_gateway_closes_total{code=\"4413\",reason=\"queue_full\"}";
    let mut sent = 0;
    while house.metric(full) < 2.5 {
        assert!(
            sent * ALERT < BOUND,
            "{} of 3 closed after {sent} alerts",
            house.metric(full)
        );
        for user in users {
            house.publish_alert(user, sent, ALERT).await;
        }
        // Whoever waited for a slow neighbour would wait here.
        for socket in &hearing {
            let alert = socket.next().await;
            assert_eq!((&alert.data["number"], alert.offset.is_some()), (&json!(sent), true));
        }
        sent += 1;
    }
    assert!(
        hearing
            .iter()
            .all(|socket| socket.unread().is_empty() && socket.is_open())
    );
    house
        .metric_is("postern_gateway_sockets{dialect=\"native_json\"}", 18.0)
        .await;
}

/// In bytes.
const ALERT: usize = 12 * 1024;
/// What may wait for a socket: 1 MiB in its queue, a batch of messages in TLS, 256 KiB in the gateway's kernel and what the client's
/// holds. Left alone, Linux would hold 4 MiB.
const BOUND: usize = 3 * 1024 * 1024;
