//! One connection through the proxy: two pumps, and the moment at which it breaks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::air::{Air, PACKET};
use super::{Fault, Link, Weather, reset};

/// Passes bytes between a client and the server until both have ended, one has reset, or the link is cut.
pub(super) async fn connection(mut client: TcpStream, link: Arc<Link>, number: u64, born_after: u64) {
    let mut weather = link.weather.subscribe();
    let hold = Hold {
        weather: weather.clone(),
        number,
    };
    let served = async {
        hold.clone().thawed().await;
        let upstream = link.weather.borrow().upstream;
        let mut server = TcpStream::connect(upstream).await?;
        let outcome = tokio::select! {
            outcome = both_ways(&mut client, &mut server, &link, &hold) => outcome,
            () = cut(&mut weather, born_after) => Err(io::ErrorKind::ConnectionReset.into()),
        };
        if outcome.is_err() {
            reset(&server);
        }
        outcome
    };
    if served.await.is_err() {
        reset(&client);
    }
    drop(client);
    link.closed.fetch_add(1, Ordering::SeqCst);
}

async fn cut(weather: &mut watch::Receiver<Weather>, born_after: u64) {
    // The proxy cannot go before its connections: it owns them.
    drop(weather.wait_for(|weather| weather.cuts != born_after).await);
}

async fn both_ways(client: &mut TcpStream, server: &mut TcpStream, link: &Link, hold: &Hold) -> io::Result<()> {
    // Small messages must not wait for each other (Nagle): the proxy adds only the delay it is told to add.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let answer_is_lost = AtomicBool::new(false);
    let (to_server_air, to_client_air) = (link.air(), link.air());
    let requests = Requests {
        link,
        tail: Vec::new(),
        answer_is_lost: &answer_is_lost,
    };
    let answers = Answers {
        link,
        answer_is_lost: &answer_is_lost,
    };
    tokio::try_join!(
        pump(
            (from_client, to_server),
            (hold, to_server_air),
            &link.to_server,
            requests
        ),
        pump(
            (from_server, to_client),
            (hold, to_client_air),
            &link.to_client,
            answers
        ),
    )?;
    Ok(())
}

/// Reads ahead, stamps each piece with the time it is due, and writes it then. Between the two lies a bounded queue, so
/// that a delay is latency and not bandwidth.
async fn pump(
    (mut from, mut to): (ReadHalf<'_>, WriteHalf<'_>),
    (hold, mut air): (&Hold, Option<Air>),
    count: &AtomicU64,
    mut inspect: impl Inspect,
) -> io::Result<()> {
    let (queue, mut held) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let read = async move {
        let mut hold = hold.clone();
        loop {
            hold.thawed().await;
            let mut piece = vec![0; if air.is_some() { PACKET } else { PIECE }];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            let delay = hold.weather.borrow().delay;
            let due = air.as_mut().map_or_else(Instant::now, |air| air.send(length)) + delay;
            if length == 0 || queue.send((due, piece)).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let write = async {
        let mut hold = hold.clone();
        while let Some((due, piece)) = held.recv().await {
            tokio::time::sleep_until(due).await;
            tokio::time::sleep(inspect.hold(&piece)).await;
            hold.thawed().await;
            let passed = inspect.pass(&piece);
            let length = passed.unwrap_or(piece.len());
            to.write_all(piece.get(..length).unwrap_or(&piece)).await?;
            count.fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::SeqCst);
            if passed.is_some() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        hold.thawed().await;
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

/// What holds back one connection.
#[derive(Clone)]
struct Hold {
    weather: watch::Receiver<Weather>,
    number: u64,
}

impl Hold {
    async fn thawed(&mut self) {
        let number = self.number;
        let passes = |weather: &Weather| !weather.frozen && number > weather.stranded;
        drop(self.weather.wait_for(passes).await);
    }
}

/// Looks at bytes on their way, where a single fault may strike.
trait Inspect {
    /// For how long the piece, and all behind it, is held.
    fn hold(&self, _piece: &[u8]) -> Duration {
        Duration::ZERO
    }

    /// None lets the piece pass; a number lets that many bytes pass and breaks the connection.
    fn pass(&mut self, piece: &[u8]) -> Option<usize>;
}

/// The way to the server: watches for the request whose answer is to be lost.
struct Requests<'a> {
    link: &'a Link,
    /// The end of what was seen, as the request may be spread over two pieces.
    tail: Vec<u8>,
    answer_is_lost: &'a AtomicBool,
}

impl Inspect for Requests<'_> {
    fn hold(&self, piece: &[u8]) -> Duration {
        let slow = self.link.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let held = slow.as_ref();
        let held = held.filter(|(request, _)| piece.windows(request.len()).any(|window| window == request));
        held.map_or(Duration::ZERO, |(_, delay)| *delay)
    }

    fn pass(&mut self, piece: &[u8]) -> Option<usize> {
        let mut fault = self.link.lock_fault();
        let Some(Fault::LoseAnswerTo(request)) = fault.as_ref() else {
            self.tail.clear();
            return None;
        };
        self.tail.extend_from_slice(piece);
        if self
            .tail
            .windows(request.len())
            .any(|window| window == request.as_slice())
        {
            *fault = None;
            self.answer_is_lost.store(true, Ordering::SeqCst);
        } else {
            let surplus = self.tail.len().saturating_sub(request.len());
            self.tail.drain(..surplus);
        }
        None
    }
}

/// The way to the client: breaks where an answer is to be lost or cut.
struct Answers<'a> {
    link: &'a Link,
    answer_is_lost: &'a AtomicBool,
}

impl Inspect for Answers<'_> {
    fn pass(&mut self, piece: &[u8]) -> Option<usize> {
        if self.answer_is_lost.load(Ordering::SeqCst) {
            return Some(0);
        }
        let mut fault = self.link.lock_fault();
        let Some(Fault::CutAnswerAfter(bytes)) = *fault else {
            return None;
        };
        *fault = None;
        Some(bytes.min(piece.len()))
    }
}

const PIECE: usize = 16 * 1024;
/// How many pieces are on their way at most, per direction and connection.
const QUEUE: usize = 1024;
