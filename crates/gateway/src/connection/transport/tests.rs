//! A WebSocket over a pipe: nothing is lost, whatever is done to its buffers.

mod deflate;

use std::sync::Arc;

use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::Message as Theirs;

use super::*;
use crate::metrics::BusDurations;

type Peer = WebSocketStream<DuplexStream>;

/// A server's transport and a client, over a pipe that holds so many bytes.
async fn pair(capacity: usize) -> (Transport, Peer) {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (Transport::new(Box::new(ours), None), peer)
}

async fn next(transport: &mut Transport, outbound: &OutboundQueue) -> TransportEvent {
    poll_fn(|cx| transport.poll_event(outbound, cx)).await
}

/// Awaits with a deadline.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    match timeout(testkit::wait::deadline(), what).await {
        Ok(done) => done,
        Err(_) => panic!("deadline passed: a message was lost"),
    }
}

fn text(len: usize) -> Message {
    Message::Text(vec![b'x'; len].into())
}

#[tokio::test]
async fn buffers_of_a_long_message_are_released() {
    let (mut transport, mut peer) = pair(1024 * 1024).await;
    let outbound = OutboundQueue::default();
    for len in [60_000, 10, 60_000, 60_000, 10] {
        peer.send(Theirs::text("x".repeat(len))).await.unwrap();
        assert_eq!(
            next(&mut transport, &outbound).await,
            TransportEvent::Message(text(len))
        );
    }
    outbound.push(text(60_000));
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    assert!(!transport.has_grown, "rebuilt as soon as nothing was under way");
    assert_eq!(peer.next().await.unwrap().unwrap().len(), 60_000);
}

#[tokio::test]
async fn partial_frame_survives_the_release_of_buffers() {
    let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
    let mut transport = Transport::new(Box::new(ours), None);
    let outbound = OutboundQueue::default();
    let long = testkit::client::frame::Frame::text(vec![b'x'; 60_000]).bytes();
    let short = testkit::client::frame::Frame::text("hello").bytes();
    let (head, tail) = short.split_at(4);
    theirs.write_all(&[&long, head].concat()).await.unwrap();
    assert_eq!(
        next(&mut transport, &outbound).await,
        TransportEvent::Message(text(60_000))
    );
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    assert!(transport.has_grown, "not while a frame is under way");
    theirs.write_all(tail).await.unwrap();
    let message = in_time(next(&mut transport, &outbound)).await;
    assert_eq!(message, TransportEvent::Message(Message::Text("hello".into())));
}

#[tokio::test]
async fn stalled_peer_is_detected_and_so_is_its_recovery() {
    let (mut transport, peer) = pair(1024).await;
    let outbound = OutboundQueue::default();
    for _ in 0..10 {
        outbound.push(text(1_000));
    }
    assert_eq!(next(&mut transport, &outbound).await, TransportEvent::Blocked);
    let (_write, mut read) = peer.split();
    let mut flowing = false;
    while !flowing {
        tokio::select! {
            event = next(&mut transport, &outbound) => flowing = event == TransportEvent::Flowing,
            message = read.next() => assert_eq!(message.unwrap().unwrap().len(), 1_000),
        }
    }
}

#[tokio::test]
async fn overflow_is_detected_while_the_peer_is_stalled() {
    let (mut transport, _peer) = pair(1024).await;
    let outbound = OutboundQueue::default();
    outbound.push(text(10_000));
    assert_eq!(next(&mut transport, &outbound).await, TransportEvent::Blocked);
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    for _ in 0..2 {
        outbound.push(text(MAX_QUEUE_BYTES));
    }
    assert_eq!(
        in_time(next(&mut transport, &outbound)).await,
        TransportEvent::Overflowed
    );
}

#[tokio::test]
async fn close_sends_its_code_and_waits_for_the_peer() {
    let (mut transport, mut peer) = pair(1024).await;
    let received = async move {
        let Some(Ok(Theirs::Close(Some(frame)))) = peer.next().await else {
            panic!("no Close frame")
        };
        (u16::from(frame.code), frame.reason.to_string())
    };
    let close = transport.close(Some((CloseCode::TooSlow, "too slow")), Duration::from_secs(30));
    let (closed, ()) = tokio::join!(received, close);
    assert_eq!(closed, (4413, "too slow".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn delivery_is_timed_until_its_write_and_not_until_it_is_queued() {
    let metrics = telemetry::metrics::Metrics::new("test");
    let durations = Arc::new(BusDurations::sample(&metrics));
    let outbound = OutboundQueue::new(None, Arc::clone(&durations));
    let (mut transport, mut peer) = pair(1024).await;
    outbound.push_event(text(1).into(), Some(durations.now()));
    outbound.push(text(2));
    assert_eq!(latencies(&metrics), None);

    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    assert_eq!(peer.next().await.unwrap().unwrap().len(), 1);
    assert_eq!(latencies(&metrics), Some(("1".to_owned(), "3".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn write_of_several_events_is_timed_once_by_its_first() {
    let metrics = telemetry::metrics::Metrics::new("test");
    let durations = Arc::new(BusDurations::sample(&metrics));
    let outbound = OutboundQueue::new(None, Arc::clone(&durations));
    let (mut transport, _peer) = pair(1024).await;
    outbound.push(text(2));
    for _ in 0..3 {
        outbound.push_event(text(1).into(), Some(durations.now()));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    assert_eq!(latencies(&metrics), Some(("1".to_owned(), "3".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn delivery_that_waited_for_a_peer_that_reads_nothing_is_not_timed() {
    let metrics = telemetry::metrics::Metrics::new("test");
    let durations = Arc::new(BusDurations::sample(&metrics));
    let outbound = OutboundQueue::new(None, Arc::clone(&durations));
    let (mut transport, mut peer) = pair(16).await;
    outbound.push(text(200));
    assert_eq!(next(&mut transport, &outbound).await, TransportEvent::Blocked);
    outbound.push_event(text(1).into(), Some(durations.now()));
    assert!(next(&mut transport, &outbound).now_or_never().is_none());

    tokio::time::advance(Duration::from_secs(3)).await;
    let read = async {
        for len in [200, 1] {
            assert_eq!(peer.next().await.unwrap().unwrap().len(), len);
        }
    };
    let write = async { while next(&mut transport, &outbound).await == TransportEvent::Flowing {} };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
    assert_eq!(latencies(&metrics), None);

    outbound.push_event(text(1).into(), Some(durations.now()));
    assert!(next(&mut transport, &outbound).now_or_never().is_none());
    assert_eq!(
        latencies(&metrics),
        Some(("1".to_owned(), "0".to_owned())),
        "the peer reads again"
    );
}

/// Number and sum of the recorded latencies of deliveries, if any.
fn latencies(metrics: &telemetry::metrics::Metrics) -> Option<(String, String)> {
    let rendered = metrics.render().unwrap();
    let figure = |name: &str| {
        let name = format!("postern_gateway_delivery_latency_seconds_{name} ");
        rendered
            .lines()
            .find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    };
    figure("count").zip(figure("sum"))
}

#[tokio::test]
async fn close_of_the_peer_is_answered() {
    let (mut transport, mut peer) = pair(1024).await;
    peer.close(None).await.unwrap();
    let outbound = OutboundQueue::default();
    assert_eq!(
        next(&mut transport, &outbound).await,
        TransportEvent::Ended(CloseReason::ByPeer)
    );
    let received = async move { matches!(peer.next().await, Some(Ok(Theirs::Close(_)))) };
    let (answered, ()) = tokio::join!(received, transport.close(None, Duration::from_secs(30)));
    assert!(answered);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn messages_arrive_in_sequence_in_both_directions(
        lens in prop::collection::vec(prop_oneof![0usize..200, 3_000usize..6_000, 50_000usize..60_000], 1..20),
        capacity in 1usize..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut transport, peer) = pair(capacity).await;
            let outbound = OutboundQueue::default();
            let (mut write, mut read) = peer.split();
            for len in &lens {
                outbound.push(text(*len));
            }
            let sends = async {
                for len in &lens {
                    write.send(Theirs::text("x".repeat(*len))).await.unwrap();
                    write.send(Theirs::Ping(Bytes::new())).await.unwrap();
                }
            };
            let reads = async {
                // Reads to the end of the stream, which the pongs after the last text precede.
                let mut seen = Vec::new();
                while let Some(Ok(message)) = read.next().await {
                    if let Theirs::Text(text) = message {
                        seen.push(text.len());
                    }
                }
                seen
            };
            let serves = async {
                let mut seen = Vec::new();
                loop {
                    match next(&mut transport, &outbound).await {
                        TransportEvent::Message(Message::Text(text)) => seen.push(text.len()),
                        TransportEvent::Ping if seen.len() == lens.len() => break,
                        TransportEvent::Ended(close_reason) => panic!("{close_reason:?} after {seen:?}"),
                        _ => {}
                    }
                }
                transport.flush(&outbound).await;
                drop(transport);
                seen
            };
            let ((), theirs, ours) = in_time(async { tokio::join!(sends, reads, serves) }).await;
            assert_eq!((&theirs, &ours), (&lens, &lens));
        });
    }
}
