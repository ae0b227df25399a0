//! Real `redis-server`: one for a test, or one that all tests of a process share.

mod monitor;
mod resp;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

pub use monitor::{Call, Monitor};

use crate::account::Account;
use crate::fail::fail;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Running Redis without persistence, with expiry notifications, on 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: Port,
    scratch: Arc<Scratch>,
    starts: u64,
    arguments: Vec<&'static str>,
    prefixes: AtomicU64,
}

impl Redis {
    /// Starts a server for one test.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server for one test with further arguments, such as `--cluster-enabled yes`.
    pub async fn start_with(arguments: &[&'static str]) -> Self {
        let scratch = Arc::new(Scratch::owned("redis", Account::unprivileged()));
        for starts in 1..=ATTEMPTS {
            let port = Port::claim();
            if let Some(process) = launch(&scratch, &port, starts, arguments).await {
                return Self {
                    process,
                    port,
                    scratch,
                    starts,
                    arguments: arguments.to_vec(),
                    prefixes: AtomicU64::new(0),
                };
            }
        }
        fail(
            "start redis-server",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    /// Server that all tests of this process share; each uses only keys under its own [`Redis::prefix`].
    pub async fn shared() -> &'static Self {
        // One server per test process, isolated by prefix. It is never dropped: its supervisor ends it.
        static SHARED: OnceCell<Redis> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Key prefix that no other call returns.
    pub fn prefix(&self) -> String {
        format!("t{}", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Address of the server.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGSTOP: connections stay open, the kernel accepts new ones, and nothing responds.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Sends SIGCONT after a [`Redis::pause`].
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Sends SIGKILL: connections are reset, new ones refused, all keys are lost.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts the server again on the same port, empty; a running one is killed first.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.starts += 1;
        match launch(&self.scratch, &self.port, self.starts, &self.arguments).await {
            Some(process) => self.process = process,
            None => fail("restart redis-server", self.scratch.logs()),
        }
    }

    /// Runs one command over a connection of its own; returns the elements of an array as lines, a nil as an empty line. Fails
    /// the test when Redis returns an error.
    pub async fn command(&self, arguments: &[&str]) -> String {
        text(&resp::command(self.addr(), arguments).await)
    }

    /// Returns every key that begins with `prefix`, with its whole value, as text: the input of a search for secrets.
    pub async fn dump(&self, prefix: &str) -> String {
        dump(self.addr(), prefix).await
    }

    /// Starts to record every command that the server executes.
    pub async fn monitor(&self) -> Monitor {
        Monitor::start(self.addr()).await
    }

    /// Folder of the logs.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// [`Redis::dump`] of any server.
pub(crate) async fn dump(server: SocketAddr, prefix: &str) -> String {
    let mut dump = String::new();
    for key in resp::command(server, &["KEYS", &format!("{prefix}*")]).await {
        let value = value(server, &key).await;
        dump += &format!("{}: {value}\n", String::from_utf8_lossy(&key));
    }
    dump
}

/// Reports whether a server is configured to send expiry notifications.
pub(crate) async fn announces_expiries(server: SocketAddr) -> bool {
    let answer = text(&resp::command(server, &["CONFIG", "GET", "notify-keyspace-events"]).await);
    let events = answer.lines().nth(1).unwrap_or_default();
    events.contains('E') && (events.contains('x') || events.contains('A'))
}

/// Keys that begin with `prefix` and have no TTL.
pub(crate) async fn keys_without_ttl(server: SocketAddr, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for key in resp::command(server, &["KEYS", &format!("{prefix}*")]).await {
        // -2: the key has expired meanwhile.
        if text(&resp::command(server, &[b"TTL".as_slice(), &key]).await) == "-1" {
            keys.push(String::from_utf8_lossy(&key).into_owned());
        }
    }
    keys
}

/// Value of a key by its type, empty when the key has expired meanwhile.
async fn value(server: SocketAddr, key: &[u8]) -> String {
    let kind = text(&resp::command(server, &[b"TYPE", key]).await);
    let read: &[&[u8]] = match kind.as_str() {
        "string" => &[b"GET", key],
        "hash" => &[b"HGETALL", key],
        "list" => &[b"LRANGE", key, b"0", b"-1"],
        "set" => &[b"SMEMBERS", key],
        "zset" => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        "stream" => &[b"XRANGE", key, b"-", b"+"],
        "none" => return String::new(),
        other => fail("dump Redis", format_args!("a value of type {other}")),
    };
    text(&resp::command(server, read).await)
}

/// Starts a server and waits until it listens; `None` when the port was taken.
async fn launch(scratch: &Arc<Scratch>, port: &Port, start: u64, arguments: &[&str]) -> Option<Process> {
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &port.number().to_string(),
        "--bind",
        "127.0.0.1",
        "--dir",
        ".",
    ]);
    command.args(["--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory-policy", "noeviction", "--notify-keyspace-events", "Ex"]);
    command.args(["--enable-debug-command", "local"]).args(arguments);
    let launch = Launch::new(format!("redis-{start}"), scratch, command).run_as(Account::unprivileged());
    let process = launch.start();
    let listens = wait::until("redis-server to listen", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            _ if log.contains("Ready to accept connections") => Some(true),
            Some(_) if log.contains("Address already in use") => Some(false),
            Some(status) => fail("start redis-server", format_args!("it ended with {status}:\n{log}")),
            None => None,
        }
    });
    listens.await.then_some(process)
}

fn text(leaves: &[Vec<u8>]) -> String {
    let lines: Vec<_> = leaves.iter().map(|leaf| String::from_utf8_lossy(leaf)).collect();
    lines.join("\n")
}

/// Most ports that a start tries.
const ATTEMPTS: u64 = 5;
