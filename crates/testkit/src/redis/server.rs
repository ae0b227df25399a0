//! Process of one server: its program, its arguments, and its starts on one port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use crate::account::Account;
use crate::fail::fail;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Running server on a port of 127.0.0.1, the same after each restart. It ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    process: Process,
    port: Port,
    scratch: Arc<Scratch>,
    plan: Plan,
    starts: u64,
}

/// Arguments of a server, and the line of its log that reports the end of its start.
#[derive(Debug)]
pub(super) struct Plan {
    name: String,
    arguments: Vec<String>,
    ready: &'static str,
}

impl Plan {
    /// Server without persistence, with expiry notifications and further arguments. Its output goes to `<name>-<start>.out`.
    pub(super) fn server(name: &str, port: &Port, further: &[&str]) -> Self {
        let port = port.number().to_string();
        let own = ["--port", &port, "--bind", "127.0.0.1", "--dir", "."];
        let unpersisted = ["--save", "", "--appendonly", "no"];
        let settings = ["--maxmemory-policy", "noeviction", "--notify-keyspace-events", "Ex"];
        let debug = ["--enable-debug-command", "local"];
        let all = own
            .iter()
            .chain(&unpersisted)
            .chain(&settings)
            .chain(&debug)
            .chain(further);
        Self {
            name: name.to_owned(),
            arguments: all.map(|argument| (*argument).to_owned()).collect(),
            ready: "Ready to accept connections",
        }
    }

    /// Sentinel with a configuration file, which it rewrites.
    pub(super) fn sentinel(name: &str, file: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            arguments: vec![file.to_string_lossy().into_owned(), "--sentinel".to_owned()],
            ready: "Sentinel ID is",
        }
    }
}

impl Server {
    /// Starts a server on a free port with the arguments that `plan` returns for that port, and waits until it listens.
    pub(super) async fn start(scratch: &Arc<Scratch>, plan: impl Fn(&Port) -> Plan) -> Self {
        for starts in 1..=ATTEMPTS {
            let port = Port::claim();
            let plan = plan(&port);
            if let Some(process) = launch(scratch, &plan, starts).await {
                return Self {
                    process,
                    port,
                    scratch: Arc::clone(scratch),
                    plan,
                    starts,
                };
            }
        }
        fail(
            "start a Redis server",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    /// Address of the server.
    pub(super) fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGSTOP.
    pub(super) fn pause(&self) {
        self.process.pause();
    }

    /// Sends SIGCONT after a [`Server::pause`].
    pub(super) fn resume(&self) {
        self.process.resume();
    }

    /// Sends SIGKILL and waits for the end.
    pub(super) async fn kill(&self) {
        self.process.kill().await;
    }

    /// Starts the server again on the same port with the same arguments; a running one is killed first.
    pub(super) async fn restart(&mut self) {
        self.kill().await;
        self.starts += 1;
        match launch(&self.scratch, &self.plan, self.starts).await {
            Some(process) => self.process = process,
            None => fail("restart a Redis server", self.scratch.logs()),
        }
    }

    /// Folder of the logs.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// Starts a server and waits until it listens; `None` when a port was taken.
async fn launch(scratch: &Arc<Scratch>, plan: &Plan, start: u64) -> Option<Process> {
    let mut command = Command::new(program());
    command.args(&plan.arguments);
    let launch = Launch::new(format!("{}-{start}", plan.name), scratch, command).run_as(Account::unprivileged());
    let process = launch.start();
    let listens = wait::until("a Redis server to listen", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            _ if log.contains(plan.ready) => Some(true),
            Some(_) if log.contains("Address already in use") => Some(false),
            Some(status) => fail("start a Redis server", format_args!("it ended with {status}:\n{log}")),
            None => None,
        }
    });
    listens.await.then_some(process)
}

/// Program: that of the variable, for runs of the tests on other servers, else the installed one.
#[expect(clippy::disallowed_methods, reason = "a variable of the tests, which no node reads")]
fn program() -> PathBuf {
    std::env::var_os("POSTERN_TEST_REDIS_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// Most ports that a start tries.
const ATTEMPTS: u64 = 5;
