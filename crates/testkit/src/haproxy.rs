//! Real HAProxy in front of servers: TCP, with health checks over HTTP.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Running HAProxy. It ends with this value.
///
/// It never offers a connection to a second server, so that a server which refuses one is noticed by its client.
#[derive(Debug)]
pub struct HaProxy {
    ports: Vec<Port>,
    control: PathBuf,
    process: Process,
}

/// Port of an [`HaProxy`] and the servers behind it.
#[derive(Clone, Debug)]
pub struct Listen {
    servers: Vec<Server>,
    check_interval: Duration,
    options: String,
}

/// Server behind an [`HaProxy`].
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Address for connections.
    pub addr: SocketAddr,
    /// Address whose `/readyz` returns 200 while connections may come.
    pub health: SocketAddr,
}

/// Counts of one server, as `show stat` reports them.
#[derive(Clone, Debug)]
pub struct ServerCounts {
    /// True if the last health checks succeeded.
    pub is_up: bool,
    /// Connections that the server accepted.
    pub connections: u64,
    /// Connections that the server refused.
    pub refused: u64,
}

impl Listen {
    /// Port in front of these servers. Each new connection goes to the server with the fewest; two failed checks in a row take a
    /// server out, and one success brings it back.
    pub fn before(servers: impl IntoIterator<Item = Server>, check_interval: Duration) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            check_interval,
            options: String::new(),
        }
    }

    /// Sends the client's address in front of each connection (`send-proxy-v2`).
    #[must_use]
    pub fn proxy_protocol(mut self) -> Self {
        self.options += " send-proxy-v2";
        self
    }

    /// Ends all connections of a server that is taken out (`on-marked-down shutdown-sessions`).
    #[must_use]
    pub fn shutdown_sessions(mut self) -> Self {
        self.options += " on-marked-down shutdown-sessions";
        self
    }

    fn config(&self, name: usize, port: &Port) -> String {
        let interval = self.check_interval.as_millis();
        let mut config = format!(
            "listen port-{name}\n  bind {}\n  balance leastconn\n  option httpchk GET /readyz\n  http-check expect status 200\n",
            port.addr()
        );
        for (server, Server { addr, health }) in self.servers.iter().enumerate() {
            let check = format!("check addr {} port {}", health.ip(), health.port());
            let options = &self.options;
            writeln!(
                config,
                "  server server-{server} {addr} {check} inter {interval}ms fall 2 rise 1{options}"
            )
            .or_fail("write HAProxy's configuration");
        }
        config
    }
}

impl HaProxy {
    /// Starts one with a port for each of these.
    pub async fn start(listens: &[Listen]) -> Self {
        let scratch = Arc::new(Scratch::owned("haproxy", Account::unprivileged()));
        for attempt in 1..=ATTEMPTS {
            let ports: Vec<Port> = listens.iter().map(|_| Port::claim()).collect();
            let control = scratch.path().join(format!("control-{attempt}"));
            if let Some(process) = launch(&scratch, listens, &ports, &control, attempt).await {
                return Self {
                    ports,
                    control,
                    process,
                };
            }
        }
        fail(
            "start haproxy",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    /// Address of the port of `listens[index]`.
    pub fn addr(&self, index: usize) -> SocketAddr {
        self.ports.get(index).or_fail("find a port of HAProxy").addr()
    }

    /// Counts of a server of `listens[index]`.
    pub async fn counts(&self, index: usize, server: usize) -> ServerCounts {
        let table = self.command("show stat\n").await;
        let (port, server) = (format!("port-{index}"), format!("server-{server}"));
        let mut lines = table.trim_start_matches("# ").lines().map(|line| line.split(','));
        let names: Vec<&str> = lines.next().or_fail("read HAProxy's statistics").collect();
        let rows = lines.map(|fields| names.iter().copied().zip(fields).collect::<BTreeMap<_, _>>());
        let is_wanted = |row: &BTreeMap<&str, &str>| {
            row.get("pxname") == Some(&port.as_str()) && row.get("svname") == Some(&server.as_str())
        };
        let row = { rows }.find(is_wanted).or_fail("find a server of HAProxy");
        let text = |field: &str| row.get(field).copied().or_fail(&format!("find {field} of a server"));
        let count = |field: &str| text(field).parse().or_fail(&format!("read {field} of a server"));
        ServerCounts {
            is_up: text("status").starts_with("UP"),
            connections: count("stot"),
            refused: count("econ"),
        }
    }

    /// Waits until the health checks of a server succeed, or have failed.
    pub async fn until_up(&self, index: usize, server: usize, is_up: bool) {
        let what = format!("HAProxy to take server {server} {}", if is_up { "in" } else { "out" });
        wait::until_true(&what, wait::deadline(), async || {
            self.counts(index, server).await.is_up == is_up
        })
        .await;
    }

    /// Output, which has a line for each change of a server's state.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// Sends a command to the control socket.
    async fn command(&self, command: &str) -> String {
        let step = "ask HAProxy";
        let mut socket = UnixStream::connect(&self.control).await.or_fail(step);
        socket.write_all(command.as_bytes()).await.or_fail(step);
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.or_fail(step);
        answer
    }
}

/// Starts HAProxy and waits until it accepts connections; `None` when a port was taken.
async fn launch(
    scratch: &Arc<Scratch>,
    listens: &[Listen],
    ports: &[Port],
    control: &Path,
    attempt: u64,
) -> Option<Process> {
    let mut config = format!(
        "global\n  maxconn 4000\n  stats socket {} mode 600\n  log stdout format raw daemon notice\n\
         defaults\n  mode tcp\n  log global\n  retries 0\n  timeout connect 5s\n  timeout check 5s\n  \
         timeout client 1h\n  timeout server 1h\n",
        control.display()
    );
    for (name, (listen, port)) in listens.iter().zip(ports).enumerate() {
        config += &listen.config(name, port);
    }
    let file = scratch.write(&format!("haproxy-{attempt}.cfg"), config);
    let mut command = Command::new(program());
    command.arg("-db").arg("-f").arg(file);
    let launch = Launch::new(format!("haproxy-{attempt}"), scratch, command);
    let process = launch.run_as(Account::unprivileged()).start();
    let listens = wait::until("haproxy to listen", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            Some(_) if log.contains("Address already in use") || log.contains("cannot bind") => Some(false),
            Some(status) => fail("start haproxy", format_args!("it ended with {status}:\n{log}")),
            None => UnixStream::connect(control).await.is_ok().then_some(true),
        }
    });
    listens.await.then_some(process)
}

/// Program: Debian installs it outside of the search path of users.
fn program() -> &'static Path {
    let debian = Path::new("/usr/sbin/haproxy");
    if debian.exists() { debian } else { Path::new("haproxy") }
}

/// Most sets of ports that a start tries.
const ATTEMPTS: u64 = 5;
