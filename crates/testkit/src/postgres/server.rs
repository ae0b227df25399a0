//! Programs of Postgres: a data folder is created or copied, configured, and served.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::tls::Authority;
use crate::wait;

/// Creates the data folder. With locale C and without sync it takes about a second.
pub(super) async fn init(scratch: &Arc<Scratch>) {
    let mut command = Command::new(program("initdb"));
    command.args(["--pgdata", "data", "--username", "postgres", "--auth", "trust"]);
    command.args(["--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]);
    run("initdb", scratch, command).await;
}

/// Copies the data folder of a running server, whose socket and port these are.
pub(super) async fn copy(scratch: &Arc<Scratch>, socket_folder: &Path, port: u16, log: LogOfCopy) {
    let mut command = Command::new(program("pg_basebackup"));
    command.args([
        "--pgdata",
        "data",
        "--username",
        "postgres",
        "--checkpoint",
        "fast",
        "--no-sync",
    ]);
    command
        .arg("--host")
        .arg(socket_folder)
        .args(["--port", &port.to_string()]);
    command.args([
        "--wal-method",
        match log {
            LogOfCopy::Archived => "none",
            LogOfCopy::Included => "stream",
        },
    ]);
    run("pg_basebackup", scratch, command).await;
}

/// Write-ahead log of a copied data folder.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogOfCopy {
    /// The archive has it.
    Archived,
    /// The copy has it.
    Included,
}

/// Runs a program to its end, as the account of the server.
async fn run(name: &str, scratch: &Arc<Scratch>, command: Command) {
    let program = Launch::new(name, scratch, command)
        .run_as(Account::unprivileged())
        .start();
    let status = program.wait(wait::deadline()).await;
    if status != 0 {
        let logs = program.logs();
        fail(&format!("run {name}"), format_args!("it ended with {status}:\n{logs}"));
    }
}

/// Writes the access rules and, for TLS, the certificate.
pub(super) fn configure(scratch: &Scratch, authority: Option<&Authority>) {
    let kind = if authority.is_some() { "hostssl" } else { "host" };
    scratch.write(
        "hba.conf",
        // `all` does not cover replication.
        format!("local all,replication all trust\n{kind} all all 127.0.0.1/32 trust\n"),
    );
    let Some(authority) = authority else { return };
    let identity = authority.issue();
    scratch.write("server.pem", identity.certificate);
    let key = scratch.write("server.key", identity.key);
    // Postgres refuses a key that others can read.
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).or_fail("protect the server's key");
    if let Some(account) = Account::unprivileged() {
        account.own(&key);
    }
}

/// Start of a server on an existing data folder.
pub(super) struct Start<'a> {
    pub(super) scratch: &'a Arc<Scratch>,
    pub(super) is_tls: bool,
    pub(super) settings: &'a [String],
    /// Number of the start, for the names of its logs.
    pub(super) number: u64,
    pub(super) state: ServerState,
}

/// State that a started server reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    /// Accepts reads and writes, after a recovery if there is one.
    Primary,
    /// Accepts reads, and applies the log of another server.
    Standby,
}

impl Start<'_> {
    /// Starts the server and waits until it accepts connections; `None` when the port was taken.
    pub(super) async fn on(&self, port: &Port) -> Option<Process> {
        let command = self.command(port);
        let launch = Launch::new(format!("postgres-{}", self.number), self.scratch, command);
        let launch = launch.run_as(Account::unprivileged());
        // Immediate shutdown: unlike SIGKILL it also ends the server's children and frees shared memory.
        let process = launch.end_with(Signal::SIGQUIT).start();
        let ready = match self.state {
            ServerState::Primary => "database system is ready to accept connections",
            ServerState::Standby => "database system is ready to accept read-only connections",
        };
        let listens = wait::until("postgres to listen", wait::deadline(), async || {
            let ended = process.exit_status();
            let log = process.logs();
            match ended {
                _ if log.contains(ready) => Some(true),
                Some(_) if log.contains("could not bind IPv4 address") => Some(false),
                Some(status) => fail("start postgres", format_args!("it ended with {status}:\n{log}")),
                None => None,
            }
        });
        listens.await.then_some(process)
    }

    fn command(&self, port: &Port) -> Command {
        let mut command = Command::new(program("postgres"));
        command
            .args(["-D", "data", "-p", &port.number().to_string(), "-h", "127.0.0.1", "-k"])
            .arg(self.scratch.path());
        let mut set = |setting: String| {
            command.args(["-c", &setting]);
        };
        let file = |name: &str| self.scratch.path().join(name).display().to_string();
        set(format!("hba_file={}", file("hba.conf")));
        for setting in FAST {
            set((*setting).to_owned());
        }
        for setting in self.settings {
            set(setting.clone());
        }
        if self.is_tls {
            set("ssl=on".to_owned());
            set(format!("ssl_cert_file={}", file("server.pem")));
            set(format!("ssl_key_file={}", file("server.key")));
        }
        command
    }
}

/// Program of Postgres: Debian installs them outside of the search path, in a folder per version; the newest is used.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin").join(name).exists())
        .max_by_key(version);
    newest.map_or_else(|| name.into(), |folder| folder.join("bin").join(name))
}

/// Settings without durability, for many connecting tests.
const FAST: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
    "lc_messages=C",
];

/// Most ports that a start tries.
pub(super) const ATTEMPTS: u64 = 5;
