//! A TCP proxy that breaks the link between a client and a server in the ways that networks do.

mod air;
mod relay;
mod rng;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::air::Quality;
pub use self::rng::SeededRng;

use self::air::Air;
use crate::fail::OrFail as _;

/// A proxy in front of one server. Its connections and tasks end with it.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    link: Arc<Link>,
    /// Owns the accepting task, which owns the task of each connection.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes connections on to `upstream`.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .or_fail("listen for a proxy");
        let addr = listener.local_addr().or_fail("listen for a proxy");
        let link = Arc::new(Link::new(upstream));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&link)));
        Self {
            addr,
            link,
            _tasks: tasks,
        }
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads new connections to another server. Those there are go on.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.link.change(|weather| weather.upstream = upstream);
    }

    /// Resets all connections there are (RST to both sides). New ones work.
    pub fn cut(&self) {
        self.link.change(|weather| weather.cuts += 1);
    }

    /// Resets new connections at once, or stops doing so. Those there are go on.
    pub fn refuse(&self, refuses: bool) {
        self.link.change(|weather| weather.refuses = refuses);
    }

    /// Passes no byte, no end and no reset on, in either direction, while both ends stay open and new connections are
    /// accepted: a half-open link, as after a pulled cable or a lost firewall state.
    pub fn freeze(&self) {
        self.link.change(|weather| weather.frozen = true);
    }

    /// Ends a [`Proxy::freeze`]; what was held back is delivered.
    pub fn thaw(&self) {
        self.link.change(|weather| weather.frozen = false);
    }

    /// As [`Proxy::freeze`], for the connections there are and for good, while new ones work: as after an address has moved
    /// to another machine.
    pub fn blackhole(&self) {
        let accepted = self.connections();
        self.link.change(|weather| weather.stranded = accepted);
    }

    /// Holds every byte for this long, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.link.change(|weather| weather.delay = delay);
    }

    /// Holds each request that has these bytes in it for this long, and all that follows it on its connection.
    pub fn delay_requests(&self, request: impl Into<Vec<u8>>, delay: Duration) {
        *self.link.slow.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.into(), delay));
    }

    /// New connections go over a link of this quality, with chance that follows from this seed.
    pub fn degrade(&self, quality: Quality, seed: u64) {
        *self.link.quality.lock().unwrap_or_else(PoisonError::into_inner) = Some((quality, SeededRng::new(seed)));
    }

    /// Once: of the next bytes that the server sends, on whichever connection, the first `bytes` arrive and then the
    /// connection is reset.
    pub fn cut_next_answer_after(&self, bytes: usize) {
        *self.link.lock_fault() = Some(Fault::CutAnswerAfter(bytes));
    }

    /// Once: when a client has sent `request` (bytes that occur in what it sends), it is passed on, and with the first
    /// byte that the server then answers the connection is reset: done, but the client cannot know.
    pub fn lose_answer_to(&self, request: impl Into<Vec<u8>>) {
        *self.link.lock_fault() = Some(Fault::LoseAnswerTo(request.into()));
    }

    /// Whether the single fault set last has yet to happen.
    pub fn fault_is_pending(&self) -> bool {
        self.link.lock_fault().is_some()
    }

    /// How many connections were accepted so far, refused ones left out.
    pub fn connections(&self) -> u64 {
        self.link.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are open now.
    pub fn open_connections(&self) -> u64 {
        self.connections() - self.link.closed.load(Ordering::SeqCst)
    }

    /// How many bytes were passed on to the server.
    pub fn bytes_to_server(&self) -> u64 {
        self.link.to_server.load(Ordering::SeqCst)
    }

    /// How many bytes were passed on to clients.
    pub fn bytes_to_client(&self) -> u64 {
        self.link.to_client.load(Ordering::SeqCst)
    }
}

/// What the proxy and its tasks share.
#[derive(Debug)]
struct Link {
    weather: watch::Sender<Weather>,
    fault: Mutex<Option<Fault>>,
    quality: Mutex<Option<(Quality, SeededRng)>>,
    /// Requests with these bytes are held.
    slow: Mutex<Option<(Vec<u8>, Duration)>>,
    accepted: AtomicU64,
    closed: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// What holds for all connections until it is changed.
#[derive(Clone, Copy, Debug)]
struct Weather {
    upstream: SocketAddr,
    frozen: bool,
    refuses: bool,
    delay: Duration,
    /// Counts the cuts: a connection born before the last one is reset.
    cuts: u64,
    /// Connections up to this number are held back for good.
    stranded: u64,
}

/// What happens once, to one connection.
#[derive(Debug)]
enum Fault {
    CutAnswerAfter(usize),
    LoseAnswerTo(Vec<u8>),
}

impl Link {
    fn new(upstream: SocketAddr) -> Self {
        let weather = Weather {
            upstream,
            frozen: false,
            refuses: false,
            delay: Duration::ZERO,
            cuts: 0,
            stranded: 0,
        };
        Self {
            weather: watch::Sender::new(weather),
            fault: Mutex::default(),
            quality: Mutex::default(),
            slow: Mutex::default(),
            accepted: AtomicU64::default(),
            closed: AtomicU64::default(),
            to_server: AtomicU64::default(),
            to_client: AtomicU64::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// One direction of a new connection, where the link is a bad one.
    fn air(&self) -> Option<Air> {
        let mut quality = self.quality.lock().unwrap_or_else(PoisonError::into_inner);
        let (quality, rng) = quality.as_mut()?;
        Some(Air::new(quality.clone(), rng.fork()))
    }

    fn lock_fault(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, link: Arc<Link>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((client, _)) = accepted else { continue };
        let weather = *link.weather.borrow();
        if weather.refuses {
            reset(&client);
            continue;
        }
        let number = link.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(relay::connection(client, Arc::clone(&link), number, weather.cuts));
    }
}

/// Makes the stream's drop send RST rather than FIN.
fn reset(stream: &TcpStream) {
    // It can fail only where the stream is already gone.
    drop(stream.set_zero_linger());
}
