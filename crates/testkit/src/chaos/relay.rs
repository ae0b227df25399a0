//! One connection through the proxy: a pump for each direction, and its faults.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::radio_link::{PACKET, RadioLink};
use super::{Fault, Link, LinkState, reset};

/// Forwards bytes between a client and the server until both have ended, one has reset, or the link is cut.
pub(super) async fn connection(mut client: TcpStream, link: Arc<Link>, number: u64, cuts_before: u64) {
    let mut state = link.state.subscribe();
    let gate = FreezeGate {
        state: state.clone(),
        number,
    };
    let served = async {
        gate.clone().wait_for_thaw().await;
        let upstream = link.state.borrow().upstream;
        let mut server = TcpStream::connect(upstream).await?;
        let outcome = tokio::select! {
            outcome = both_ways(&mut client, &mut server, &link, &gate) => outcome,
            () = cut(&mut state, cuts_before) => Err(io::ErrorKind::ConnectionReset.into()),
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

async fn cut(state: &mut watch::Receiver<LinkState>, cuts_before: u64) {
    // The proxy owns its connections, so the sender outlives them.
    drop(state.wait_for(|state| state.cuts != cuts_before).await);
}

async fn both_ways(client: &mut TcpStream, server: &mut TcpStream, link: &Link, gate: &FreezeGate) -> io::Result<()> {
    // Small messages must not wait for each other (Nagle): the proxy adds only the configured delay.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let answer_is_lost = AtomicBool::new(false);
    let (to_server_link, to_client_link) = (link.radio_link(), link.radio_link());
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
            (gate, to_server_link),
            &link.to_server,
            requests
        ),
        pump(
            (from_server, to_client),
            (gate, to_client_link),
            &link.to_client,
            answers
        ),
    )?;
    Ok(())
}

/// Reads ahead, stamps each piece with its due time, and writes it at that time. The bounded queue between makes a delay latency
/// instead of bandwidth.
async fn pump(
    (mut from, mut to): (ReadHalf<'_>, WriteHalf<'_>),
    (gate, mut radio_link): (&FreezeGate, Option<RadioLink>),
    count: &AtomicU64,
    mut inspect: impl Inspect,
) -> io::Result<()> {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let read = async move {
        let mut gate = gate.clone();
        loop {
            gate.wait_for_thaw().await;
            let mut piece = vec![0; if radio_link.is_some() { PACKET } else { PIECE }];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            let delay = gate.state.borrow().delay;
            let due = radio_link
                .as_mut()
                .map_or_else(Instant::now, |radio_link| radio_link.send(length))
                + delay;
            if length == 0 || queue.send((due, piece)).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let write = async {
        let mut gate = gate.clone();
        while let Some((due, piece)) = queued.recv().await {
            tokio::time::sleep_until(due).await;
            tokio::time::sleep(inspect.delay(&piece)).await;
            gate.wait_for_thaw().await;
            let passed = inspect.pass(&piece);
            let length = passed.unwrap_or(piece.len());
            to.write_all(piece.get(..length).unwrap_or(&piece)).await?;
            count.fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::SeqCst);
            if passed.is_some() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        gate.wait_for_thaw().await;
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

/// Freezes that apply to one connection.
#[derive(Clone)]
struct FreezeGate {
    state: watch::Receiver<LinkState>,
    number: u64,
}

impl FreezeGate {
    async fn wait_for_thaw(&mut self) {
        let number = self.number;
        let passes = |state: &LinkState| !state.frozen && number > state.blackholed;
        drop(self.state.wait_for(passes).await);
    }
}

/// Inspection of forwarded bytes, where a single fault can happen.
trait Inspect {
    /// Delay of this piece and all behind it.
    fn delay(&self, _piece: &[u8]) -> Duration {
        Duration::ZERO
    }

    /// Forwards the piece for `None`; for a number, forwards that many bytes and breaks the connection.
    fn pass(&mut self, piece: &[u8]) -> Option<usize>;
}

/// Direction to the server: watches for the request whose response is to be lost.
struct Requests<'a> {
    link: &'a Link,
    /// Last bytes seen, because a request may be spread over two pieces.
    tail: Vec<u8>,
    answer_is_lost: &'a AtomicBool,
}

impl Inspect for Requests<'_> {
    fn delay(&self, piece: &[u8]) -> Duration {
        let slow = self.link.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = slow.as_ref();
        let matching = matching.filter(|(request, _)| piece.windows(request.len()).any(|window| window == request));
        matching.map_or(Duration::ZERO, |(_, delay)| *delay)
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

/// Direction to the client: breaks where a response is to be lost or cut.
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
/// Most pieces in flight per direction and connection.
const QUEUE: usize = 1024;
