//! Gateway or worker of a cluster: a process and its ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::client::http::{self, Request};
use crate::fail::fail;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Gateway,
    Worker,
}

impl Role {
    /// Subcommand of `postern`.
    pub(super) fn subcommand(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
        }
    }
}

/// Node. It ends with this value.
#[derive(Debug)]
pub struct Member {
    process: Process,
    ports: Ports,
}

/// Ports of a node.
#[derive(Debug)]
struct Ports {
    health: Port,
    gateway: Option<GatewayPorts>,
}

/// Ports that only a gateway has.
#[derive(Debug)]
struct GatewayPorts {
    public: Port,
    internal: Port,
}

impl Ports {
    fn claim(role: Role) -> Self {
        Self {
            health: Port::claim(),
            gateway: (role == Role::Gateway).then(|| GatewayPorts {
                public: Port::claim(),
                internal: Port::claim(),
            }),
        }
    }

    /// Variables with the addresses to listen on.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("POSTERN_HEALTH_LISTEN", self.health.addr().to_string())];
        if let Some(ports) = &self.gateway {
            settings.push(("POSTERN_LISTEN", ports.public.addr().to_string()));
            settings.push(("POSTERN_INTERNAL_LISTEN", ports.internal.addr().to_string()));
        }
        settings
    }
}

impl Member {
    /// Address of a gateway for WSS and HTTPS; fails the test for a worker, which has no such port.
    pub fn addr(&self) -> SocketAddr {
        self.gateway_ports().public.addr()
    }

    /// Address of the node's plain HTTP listener for health and metrics.
    pub fn health_addr(&self) -> SocketAddr {
        self.ports.health.addr()
    }

    /// Address of a gateway's internal API; fails the test for a worker, which has no such port.
    pub fn internal_addr(&self) -> SocketAddr {
        self.gateway_ports().internal.addr()
    }

    /// [`Member::internal_addr`] as `http://127.0.0.1:<port>`.
    pub fn internal_url(&self) -> String {
        format!("http://{}", self.internal_addr())
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&self) {
        self.process.kill().await;
    }

    /// Sends SIGTERM: the request to drain and end.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends SIGSTOP: connections stay open and nothing responds.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Sends SIGCONT after a [`Member::pause`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Exit status as [`Process::exit_status`]; `None` while it runs.
    pub fn exit_status(&self) -> Option<i32> {
        self.process.exit_status()
    }

    /// Waits for the end; returns the exit status.
    pub async fn wait(&self, within: Duration) -> i32 {
        self.process.wait(within).await
    }

    /// Reports whether `/readyz` returns 200.
    pub async fn is_ready(&self) -> bool {
        let answer = http::plain(self.health_addr(), &Request::get("/readyz")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Body of `/metrics`; empty when the node does not respond.
    pub async fn metrics(&self) -> String {
        let answer = http::plain(self.health_addr(), &Request::get("/metrics")).await;
        answer.map(|answer| answer.text()).unwrap_or_default()
    }

    /// Output to stdout and stderr.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    fn gateway_ports(&self) -> &GatewayPorts {
        match &self.ports.gateway {
            Some(ports) => ports,
            None => fail("find the ports of a gateway", "the node is a worker"),
        }
    }
}

/// Launcher of the processes of one cluster, all with the same settings.
#[derive(Debug)]
pub(super) struct Launcher {
    /// Binary of each role: those of two releases may be at work.
    gateway_binary: PathBuf,
    worker_binary: PathBuf,
    scratch: Arc<Scratch>,
    /// Variables for one role or for all; the later of two values counts.
    settings: Vec<(Option<Role>, String, String)>,
    named: AtomicU64,
}

impl Launcher {
    pub(super) fn new(binary: PathBuf, scratch: Scratch, settings: Vec<(Option<Role>, String, String)>) -> Self {
        Self {
            gateway_binary: binary.clone(),
            worker_binary: binary,
            scratch: Arc::new(scratch),
            settings,
            named: AtomicU64::new(0),
        }
    }

    /// Sets the binary of the nodes of a role that start from now on.
    pub(super) fn set_binary(&mut self, role: Role, binary: PathBuf) {
        match role {
            Role::Gateway => self.gateway_binary = binary,
            Role::Worker => self.worker_binary = binary,
        }
    }

    /// Starts a node as a replacement of one that has ended, and waits until it is ready.
    pub(super) async fn restart(&self, role: Role, index: usize) -> Member {
        let number = self.next_number();
        let name = format!("{}-{index}-restart-{number}", role.subcommand());
        self.start(role, &name, &[]).await
    }

    /// Starts a node on free ports and waits until it is ready. `name` is the heading of its logs and is used once.
    pub(super) async fn start(&self, role: Role, name: &str, more: &[(&str, &str)]) -> Member {
        for attempt in 1..=ATTEMPTS {
            let member = self.begin(role, &format!("{name}-{attempt}"), more);
            if is_up(&member).await {
                return member;
            }
        }
        fail(
            "start a node",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", self.logs()),
        )
    }

    /// Starts a node on free ports, and does not wait for it. `name` is the heading of its logs and is used once.
    pub(super) fn begin(&self, role: Role, name: &str, more: &[(&str, &str)]) -> Member {
        self.launch(role, name, Ports::claim(role), more)
    }

    /// Starts a node on the ports of one that has ended, and waits until it is ready.
    pub(super) async fn replace(&self, role: Role, index: usize, ended: Member) -> Member {
        let number = self.next_number();
        let name = format!("{}-{index}-replacement-{number}", role.subcommand());
        let member = self.launch(role, &name, ended.ports, &[]);
        if !is_up(&member).await {
            fail("start a node", format_args!("its port was taken:\n{}", member.logs()));
        }
        member
    }

    fn launch(&self, role: Role, name: &str, ports: Ports, more: &[(&str, &str)]) -> Member {
        let listen = ports.settings();
        let mut settings: Vec<(&str, &str)> = listen.iter().map(|(key, addr)| (*key, addr.as_str())).collect();
        settings.extend(more);
        let binary = match role {
            Role::Gateway => &self.gateway_binary,
            Role::Worker => &self.worker_binary,
        };
        let process = self.command(name, binary, (role, role.subcommand()), &settings);
        Member { process, ports }
    }

    /// Number for the name of a process, which no other has.
    pub(super) fn next_number(&self) -> u64 {
        self.named.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts a subcommand of a `postern` binary with the settings of a role.
    pub(super) fn command(
        &self,
        name: &str,
        binary: &Path,
        (role, subcommand): (Role, &str),
        more: &[(&str, &str)],
    ) -> Process {
        let mut command = Command::new(binary);
        command.arg(subcommand);
        let settings = self.settings.iter().filter(|(of, ..)| of.is_none_or(|of| of == role));
        command.envs(settings.map(|(_, key, value)| (key, value)));
        command.envs(more.iter().copied());
        // A node refuses variables that it does not know, and those of the shell are for the tests.
        Launch::new(name, &self.scratch, command).without_environment().start()
    }

    /// Output of all processes of the cluster, including those that have ended.
    pub(super) fn logs(&self) -> String {
        self.scratch.logs()
    }
}

/// Waits until the node is ready; false when it ended because a port was taken.
async fn is_up(member: &Member) -> bool {
    wait::until("a node to become ready", wait::deadline(), async || {
        let ended = member.exit_status();
        let logs = member.logs();
        match ended {
            Some(_) if logs.contains("Address already in use") => Some(false),
            Some(status) => fail("start a node", format_args!("it ended with {status}:\n{logs}")),
            None => member.is_ready().await.then_some(true),
        }
    })
    .await
}

/// Most ports that a start tries.
const ATTEMPTS: u64 = 5;
