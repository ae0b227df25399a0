//! Real pgbouncer in front of a server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Postgres, WORKER_ROLE};
use crate::account::Account;
use crate::fail::fail;
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Running pgbouncer in transaction mode, otherwise with its defaults: it refuses options in the startup message. It logs in as
/// [`WORKER_ROLE`], and ends with this value.
#[derive(Debug)]
pub struct PgBouncer {
    port: Port,
    _process: Process,
}

impl PgBouncer {
    /// Starts one in front of `postgres`, with `pool` connections to each database.
    pub async fn start(postgres: &Postgres, pool: usize) -> Self {
        let scratch = Arc::new(Scratch::owned("pgbouncer", Account::unprivileged()));
        for attempt in 1..=ATTEMPTS {
            let port = Port::claim();
            if let Some(process) = launch(&scratch, &port, postgres, pool, attempt).await {
                return Self {
                    port,
                    _process: process,
                };
            }
        }
        fail(
            "start pgbouncer",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    /// Pooler that all tests of this process share, in front of [`Postgres::shared`]. It has two connections to each database,
    /// so that the transactions of one client use both.
    pub async fn shared() -> &'static Self {
        // Never dropped, like the server behind it.
        static SHARED: OnceCell<PgBouncer> = OnceCell::const_new();
        let start = || Box::pin(async { Self::start(Postgres::shared().await, 2).await });
        SHARED.get_or_init(start).await
    }

    /// Address of the pooler.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

/// Starts a pooler and waits until it accepts connections; `None` when the port was taken.
async fn launch(
    scratch: &Arc<Scratch>,
    port: &Port,
    postgres: &Postgres,
    pool: usize,
    attempt: u64,
) -> Option<Process> {
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={} user={WORKER_ROLE}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = {pool}\n",
        postgres.port(),
        port.number()
    );
    let file = scratch.write(&format!("pgbouncer-{attempt}.ini"), settings);
    let mut command = Command::new(program());
    command.arg(file);
    let launch = Launch::new(format!("pgbouncer-{attempt}"), scratch, command);
    let process = launch.run_as(Account::unprivileged()).start();
    let listens = wait::until("pgbouncer to listen", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            _ if log.contains("process up") => Some(true),
            Some(_) if log.contains("Address already in use") => Some(false),
            Some(status) => fail("start pgbouncer", format_args!("it ended with {status}:\n{log}")),
            None => None,
        }
    });
    listens.await.then_some(process)
}

/// Program: Debian installs it outside of the search path of users.
fn program() -> &'static Path {
    let debian = Path::new("/usr/sbin/pgbouncer");
    if debian.exists() {
        debian
    } else {
        Path::new("pgbouncer")
    }
}

/// Most ports that a start tries.
const ATTEMPTS: u64 = 5;
