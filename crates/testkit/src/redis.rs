//! Real `redis-server`: one for a test, or one that all tests of a process share.

mod cluster;
mod monitor;
mod resp;
mod sentinel;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

pub use cluster::{Failover, RedisCluster};
pub use monitor::{Call, Monitor};
pub use sentinel::RedisSentinel;

use self::server::{Plan, Server};
use crate::account::Account;
use crate::fail::fail;
use crate::scratch::Scratch;

/// Running Redis without persistence, with expiry notifications, on 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    prefixes: AtomicU64,
}

impl Redis {
    /// Starts a server for one test.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server for one test with further arguments, such as `--cluster-enabled yes`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let scratch = Arc::new(Scratch::owned("redis", Account::unprivileged()));
        Self::start_in(&scratch, "redis", arguments).await
    }

    /// Starts one of the servers of a test, whose logs are in one folder.
    async fn start_in(scratch: &Arc<Scratch>, name: &str, arguments: &[&str]) -> Self {
        Self {
            server: Server::start(scratch, |port| Plan::server(name, port, arguments)).await,
            prefixes: AtomicU64::new(0),
        }
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
        self.server.addr()
    }

    /// Port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Sends SIGSTOP: connections stay open, the kernel accepts new ones, and nothing responds.
    pub fn pause(&mut self) {
        self.server.pause();
    }

    /// Sends SIGCONT after a [`Redis::pause`].
    pub fn resume(&mut self) {
        self.server.resume();
    }

    /// Sends SIGKILL: connections are reset, new ones refused, all keys are lost.
    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// Starts the server again on the same port, empty; a running one is killed first.
    pub async fn restart(&mut self) {
        self.server.restart().await;
    }

    /// Runs one command over a connection of its own; returns the elements of an array as lines, a nil as an empty line. Fails
    /// the test when Redis returns an error.
    pub async fn command(&self, arguments: &[&str]) -> String {
        text(&resp::command(self.addr(), arguments).await)
    }

    /// [`Redis::command`] that returns the error of Redis, such as `MOVED 3999 127.0.0.1:6381`, or of the connection, which also
    /// ends when a paused server is silent for three seconds.
    pub async fn try_command(&self, arguments: &[&str]) -> Result<String, String> {
        match resp::try_command(self.addr(), arguments).await {
            Ok(leaves) => Ok(text(&leaves)),
            Err(error) => Err(error.to_string()),
        }
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
        self.server.scratch()
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

/// Servers of a list that respond and are primaries.
pub(crate) async fn primaries(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut primaries = Vec::new();
    for server in servers {
        let role = resp::try_command(*server, &["ROLE"]).await.unwrap_or_default();
        if role.first().is_some_and(|role| role == b"master") {
            primaries.push(*server);
        }
    }
    primaries
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

fn text(leaves: &[Vec<u8>]) -> String {
    let lines: Vec<_> = leaves.iter().map(|leaf| String::from_utf8_lossy(leaf)).collect();
    lines.join("\n")
}
