//! Times of the contract, in paused time.

use std::io;
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt};
use lifecycle::SeededEntropy;
use protocol::wire::native::Encoding;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Theirs;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::settings::{Rate, Timing};
use crate::socket::FeedEvent;

/// A live native socket, a peer, and the token that makes the node drain.
async fn live(capacity: usize) -> (Box<Link>, WebSocketStream<DuplexStream>, CancellationToken) {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let (link, soft) = live_link(Box::new(ours));
    let peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (link, peer, soft)
}

/// A live native socket over a stream, and the token that makes the node drain.
fn live_link(stream: Stream) -> (Box<Link>, CancellationToken) {
    let timing = Timing::default();
    let bounds = Bounds {
        heartbeat: Heartbeat::default(),
        authentication: timing.authentication,
        write: timing.write,
        rate: Rate::new(20, 40).ok(),
    };
    let soft = CancellationToken::new();
    let settings = LinkSettings {
        deflation: DeflatePool::new(1024),
        bounds,
        drain: DrainWindow {
            soft: soft.clone(),
            length: Duration::from_secs(20),
            entropy: Arc::new(SeededEntropy::new(7)),
        },
        durations: Arc::new(BusDurations::sample(&telemetry::metrics::Metrics::new("test"))),
    };
    let protocol = Protocol::Native {
        encoding: Encoding::Json,
        bearer: None,
    };
    let mut link = Link::new(stream, &protocol, None, &settings);
    link.authenticated(Instant::now() + Duration::from_secs(86_400))
        .unwrap();
    (link, soft)
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_pinged_after_30_s_and_closed_after_50() {
    let (mut link, mut peer, _soft) = live(1024).await;
    let start = Instant::now();
    let pinged = async {
        let ping = peer.next().await.unwrap().unwrap();
        assert!(matches!(ping, Theirs::Ping(_)), "{ping:?}");
        start.elapsed()
    };
    let (ended, pinged) = tokio::join!(link.next(), pinged);
    assert_eq!(pinged, Duration::from_secs(30));
    assert_eq!(
        (ended.err(), start.elapsed()),
        (Some(CloseReason::HeartbeatTimeout), Duration::from_secs(50))
    );
}

#[tokio::test(start_paused = true)]
async fn answering_peer_stays_connected() {
    let (mut link, mut peer, _soft) = live(1024).await;
    let start = Instant::now();
    // A client answers pings whenever it is read.
    let answers = async { while peer.next().await.is_some() {} };
    let hours = Duration::from_secs(3 * 3_600);
    tokio::select! {
        ended = link.next() => assert!(ended.is_ok(), "ended after {:?}", start.elapsed()),
        () = answers => assert!(start.elapsed() >= hours, "cut after {:?}", start.elapsed()),
        () = sleep(hours) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_peer_is_closed_after_20_s() {
    let (mut link, _peer, _soft) = live(64).await;
    let start = Instant::now();
    link.send(Message::Text(vec![b'x'; 1_000].into()));
    assert_eq!(link.next().await.err(), Some(CloseReason::Stalled));
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn draining_node_closes_a_socket_within_the_window() {
    let (mut link, _peer, soft) = live(1024).await;
    let start = Instant::now();
    soft.cancel();
    assert_eq!(link.next().await.err(), Some(CloseReason::Restart));
    assert!(start.elapsed() <= Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(start.elapsed() > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn event_is_written_without_the_task_of_an_idle_socket() {
    let (mut link, mut peer, _soft) = live(1024).await;
    assert!(link.next().now_or_never().is_none());
    let outbound = link.outbound();
    outbound.push_event(Message::Text("1".into()).into(), None);
    outbound.write_or_wake();
    let message = timeout(Duration::from_secs(5), peer.next()).await.unwrap();
    assert_eq!(message.unwrap().unwrap().to_text().unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn peer_that_does_not_accept_a_direct_write_is_closed_after_20_s() {
    let (mut link, _peer, _soft) = live(64).await;
    let outbound = Arc::clone(link.outbound());
    let start = Instant::now();
    let write = async {
        outbound.push_event(Message::Text(vec![b'x'; 1_000].into()).into(), None);
        outbound.write_or_wake();
    };
    let (ended, ()) = tokio::join!(link.next(), write);
    assert_eq!(ended.err(), Some(CloseReason::Stalled));
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

/// Stream that nothing can be written to.
struct PanickingStream;

impl AsyncRead for PanickingStream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for PanickingStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("a write");
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_direct_write_ends_its_socket_alone() {
    let (mut link, _soft) = live_link(Box::new(PanickingStream));
    assert!(link.next().now_or_never().is_none());
    let outbound = link.outbound();
    outbound.push_event(Message::Text("1".into()).into(), None);
    outbound.write_or_wake();
    assert_eq!(link.next().await.err(), Some(CloseReason::Lost));
}

fn feed(text: &'static str) -> FeedEvent {
    let message = Message::Text(text.into());
    FeedEvent {
        alone: message.clone().into(),
        message,
        syncing: None,
        published_at: None,
    }
}

#[tokio::test(start_paused = true)]
async fn feed_events_are_sent_together_5_s_after_the_first() {
    let (mut link, mut peer, _soft) = live(1024).await;
    link.batch(Some(Duration::from_secs(5)));
    let outbound = Arc::clone(link.outbound());
    let start = Instant::now();
    let says = async {
        for (second, event) in [(1, "1"), (3, "2"), (10, "3")] {
            sleep_until(start + Duration::from_secs(second)).await;
            outbound.push_feed(feed(event));
        }
        std::future::pending::<()>().await;
    };
    let received = async {
        for (second, batch) in [(6, "[1,2]"), (15, "3")] {
            let message = peer.next().await.unwrap().unwrap();
            assert_eq!(
                (message.to_text().unwrap(), start.elapsed()),
                (batch, Duration::from_secs(second))
            );
        }
    };
    tokio::select! {
        ended = link.next() => panic!("{:?}", ended.err()),
        () = says => {}
        () = received => {}
    }
}
