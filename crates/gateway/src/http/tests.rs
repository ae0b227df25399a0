//! Deadlines of one HTTP connection, over a pipe in paused time.

use bus::MemoryBus;
use lifecycle::{Entropy, OsEntropy, Readiness, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{advance, interval, sleep};

use super::callback::CallbackBus;
use super::*;
use crate::bus_outage::BusOutage;
use crate::ids;
use crate::label::Label;
use crate::workers::WorkerClient;

fn http() -> Arc<Http> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let bus = Arc::new(MemoryBus::new(Arc::clone(&entropy)));
    let outage = Arc::new(BusOutage::new());
    let meter = telemetry::metrics::Metrics::new("test").meter();
    let metrics = Arc::new(Metrics::new(&meter, &Tasks::new()));
    let workers = Arc::new(WorkerClient::new(
        (Arc::clone(&bus) as _, Arc::clone(&outage)),
        ids::node(&*entropy),
        entropy,
    ));
    let timing = Timing::default();
    let bus = CallbackBus {
        challenges: Arc::clone(&bus) as _,
        limits: Arc::clone(&bus) as _,
        sessions: bus,
        outage,
    };
    let callbacks = Callbacks::new(bus, Arc::clone(&workers), timing.interactive, Arc::clone(&metrics));
    let webhooks = Webhooks::new(workers, timing.webhook, Arc::clone(&metrics));
    let below = Readiness::new().condition("sockets");
    let sockets = SocketLimit::new(None, 1, below);
    let admission = Admission::new(None, 1, Arc::clone(&metrics));
    let soft = CancellationToken::new();
    let routes = (callbacks, webhooks, Router::new());
    Arc::new(Http::new(
        (Origins::none(), Proxies::default(), admission),
        (Box::new(|| true), sockets),
        routes,
        timing,
        soft,
        metrics,
    ))
}

/// Serves a connection accepted at this time; returns the elapsed seconds and the outcome.
async fn serve(stream: DuplexStream, accepted: Instant) -> (u64, &'static str) {
    let client = Client::of_peer(([192, 0, 2, 1], 4_711).into(), &Proxies::default());
    let http = http();
    let permit = http.admission.admit(client.limited_address(), accepted).ok().unwrap();
    let served = http.serve(Box::new(stream), (client, &permit), accepted).await;
    let outcome = match &served {
        Ok(Some(_)) => "upgraded",
        Ok(None) => "answered",
        Err(error) => error.reason().label(),
    };
    (accepted.elapsed().as_secs(), outcome)
}

/// Sends one byte per second, then nothing, and keeps the connection open.
async fn trickle(peer: &mut DuplexStream, bytes: &[u8]) {
    let mut second = interval(Duration::from_secs(1));
    for byte in bytes {
        second.tick().await;
        if peer.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn slow_request_head_times_out_after_5_s() {
    let (stream, mut peer) = duplex(1024);
    let (ended, ()) = tokio::join!(
        serve(stream, Instant::now()),
        trickle(&mut peer, b"GET /x HTTP/1.1\r\nHost: x\r\n")
    );
    assert_eq!(ended, (5, "slow_request"));
}

#[tokio::test(start_paused = true)]
async fn request_times_out_10_s_after_accept_including_tls() {
    let (stream, _peer) = duplex(1024);
    let accepted = Instant::now();
    advance(Duration::from_secs(7)).await;
    assert_eq!(serve(stream, accepted).await, (10, "slow_request"));
}

#[tokio::test(start_paused = true)]
async fn incomplete_body_is_refused_10_s_after_accept() {
    let (stream, mut peer) = duplex(1024);
    let head =
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: 90\r\n\r\n";
    let attack = async {
        peer.write_all(head).await.unwrap();
        trickle(&mut peer, &[b'x'; 30]).await;
        let mut answer = Vec::new();
        drop(peer.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    };
    let ((after, outcome), answer) = tokio::join!(serve(stream, Instant::now()), attack);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // The lingering close may add a second.
    assert!((10..=11).contains(&after), "{after}");
    assert_eq!(outcome, "answered");
}

#[tokio::test(start_paused = true)]
async fn unread_response_times_out_after_5_s() {
    let (stream, mut peer) = duplex(64);
    let attack = async {
        peer.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        sleep(Duration::from_secs(60)).await;
    };
    let (ended, ()) = tokio::join!(serve(stream, Instant::now()), attack);
    assert_eq!(ended, (5, "slow_reader"));
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_get_one_response() {
    let (stream, mut peer) = duplex(1024);
    let attack = async {
        peer.write_all(&b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n".repeat(9))
            .await
            .unwrap();
        let mut answers = Vec::new();
        peer.read_to_end(&mut answers).await.unwrap();
        String::from_utf8(answers).unwrap()
    };
    let (_, answers) = tokio::join!(serve(stream, Instant::now()), attack);
    assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 1, "{answers}");
}
