//! TCP proxy with the faults of real networks between a client and a server.

mod condition;
mod radio_link;
mod relay;
mod rng;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::condition::Condition;
pub use self::radio_link::Quality;
pub use self::rng::SeededRng;

use self::radio_link::RadioLink;
use crate::fail::OrFail as _;

/// Proxy in front of one server. Its connections and tasks end with it.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    link: Arc<Link>,
    /// Owns the accepting task, which owns the task of each connection.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards connections to `upstream`.
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

    /// Address for clients.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Forwards new connections to another server. Existing ones continue.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.link.change(|state| state.upstream = upstream);
    }

    /// Resets all existing connections (RST to both sides). New ones work.
    pub fn cut(&self) {
        self.link.change(|state| state.cuts += 1);
    }

    /// Resets new connections at once, or stops doing so. Existing ones continue.
    pub fn refuse(&self, refuses: bool) {
        self.link.change(|state| state.refuses = refuses);
    }

    /// Forwards no byte, no end and no reset in either direction, while both ends stay open and new connections are accepted: a
    /// half-open link, as after a pulled cable or a lost firewall state.
    pub fn freeze(&self) {
        self.link.change(|state| state.frozen = true);
    }

    /// Ends a [`Proxy::freeze`]; the retained bytes are delivered.
    pub fn thaw(&self) {
        self.link.change(|state| state.frozen = false);
    }

    /// Freezes the existing connections for good, while new ones work: as after an address has moved to another machine.
    pub fn blackhole(&self) {
        let accepted = self.connections();
        self.link.change(|state| state.blackholed = accepted);
    }

    /// Delays every byte by this time, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.link.change(|state| state.delay = delay);
    }

    /// Delays each request that contains these bytes, and all that follows it on its connection.
    pub fn delay_requests(&self, request: impl Into<Vec<u8>>, delay: Duration) {
        *self.link.slow.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.into(), delay));
    }

    /// Applies a link of this quality to new connections, with randomness that follows from this seed.
    pub fn degrade(&self, quality: Quality, seed: u64) {
        *self.link.quality.lock().unwrap_or_else(PoisonError::into_inner) = Some((quality, SeededRng::new(seed)));
    }

    /// Once: of the next bytes that the server sends, on any connection, forwards the first `bytes` and then resets the
    /// connection.
    pub fn cut_next_answer_after(&self, bytes: usize) {
        *self.link.lock_fault() = Some(Fault::CutAnswerAfter(bytes));
    }

    /// Once: forwards a `request` (bytes that occur in what a client sends), and resets the connection at the first byte of the
    /// server's response: the request is done, but the client cannot know.
    pub fn lose_answer_to(&self, request: impl Into<Vec<u8>>) {
        *self.link.lock_fault() = Some(Fault::LoseAnswerTo(request.into()));
    }

    /// Reports whether the last single fault has not happened yet.
    pub fn fault_is_pending(&self) -> bool {
        self.link.lock_fault().is_some()
    }

    /// Number of accepted connections, without refused ones.
    pub fn connections(&self) -> u64 {
        self.link.accepted.load(Ordering::SeqCst)
    }

    /// Number of open connections.
    pub fn open_connections(&self) -> u64 {
        self.connections() - self.link.closed.load(Ordering::SeqCst)
    }

    /// Number of bytes forwarded to the server.
    pub fn bytes_to_server(&self) -> u64 {
        self.link.to_server.load(Ordering::SeqCst)
    }

    /// Number of bytes forwarded to clients.
    pub fn bytes_to_client(&self) -> u64 {
        self.link.to_client.load(Ordering::SeqCst)
    }
}

/// State that the proxy and its tasks share.
#[derive(Debug)]
struct Link {
    state: watch::Sender<LinkState>,
    fault: Mutex<Option<Fault>>,
    quality: Mutex<Option<(Quality, SeededRng)>>,
    /// Requests that contain these bytes are delayed.
    slow: Mutex<Option<(Vec<u8>, Duration)>>,
    accepted: AtomicU64,
    closed: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// Settings of all connections.
#[derive(Clone, Copy, Debug)]
struct LinkState {
    upstream: SocketAddr,
    frozen: bool,
    refuses: bool,
    delay: Duration,
    /// Number of cuts: a connection from before the last one is reset.
    cuts: u64,
    /// Connections up to this number are frozen for good.
    blackholed: u64,
}

/// Fault that happens once, to one connection.
#[derive(Debug)]
enum Fault {
    CutAnswerAfter(usize),
    LoseAnswerTo(Vec<u8>),
}

impl Link {
    fn new(upstream: SocketAddr) -> Self {
        let state = LinkState {
            upstream,
            frozen: false,
            refuses: false,
            delay: Duration::ZERO,
            cuts: 0,
            blackholed: 0,
        };
        Self {
            state: watch::Sender::new(state),
            fault: Mutex::default(),
            quality: Mutex::default(),
            slow: Mutex::default(),
            accepted: AtomicU64::default(),
            closed: AtomicU64::default(),
            to_server: AtomicU64::default(),
            to_client: AtomicU64::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut LinkState)) {
        self.state.send_modify(change);
    }

    /// Quality of one direction of a new connection, if the link is degraded.
    fn radio_link(&self) -> Option<RadioLink> {
        let mut quality = self.quality.lock().unwrap_or_else(PoisonError::into_inner);
        let (quality, rng) = quality.as_mut()?;
        Some(RadioLink::new(quality.clone(), rng.fork()))
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
        let state = *link.state.borrow();
        if state.refuses {
            reset(&client);
            continue;
        }
        let number = link.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(relay::connection(client, Arc::clone(&link), number, state.cuts));
    }
}

/// Makes the drop of the stream send RST instead of FIN.
fn reset(stream: &TcpStream) {
    // Fails only for a stream that has already ended.
    drop(stream.set_zero_linger());
}
