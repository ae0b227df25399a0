//! A peer that does not read costs what its queue may hold, and nobody else anything.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::Outcome;
use protocol::json::Json;
use serde_json::json;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::client::raw::Wire;
use testkit::{Native, wait};

use crate::house::House;
use crate::worker::Worker;

/// A live client that reads nothing from now on.
async fn deaf(house: &House) -> Wire {
    let mut wire = house.door.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    wire.upgrade(&request.bearer(&house.token("u"))).await.unwrap();
    assert!(
        wire.next_frame()
            .await
            .unwrap()
            .payload
            .starts_with(br#"{"event":"ready""#)
    );
    wire
}

/// Answers every command with 60 KiB.
fn verbose(house: &House) -> Worker {
    Worker::answering(house, |_| {
        Some(Outcome {
            error: None,
            aside: None,
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
    let neighbour = Native::connect(&house.door, &house.token("u")).await.unwrap();
    let mut deaf = deaf(&house).await;
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
    let mut deaf = deaf(&house).await;
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
