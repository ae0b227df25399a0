//! Real Postgres server: one for a test, or one that all tests of a process share.

mod database;
mod pooler;
mod schema;
mod session;
mod statement_log;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

pub use database::Database;
pub use pooler::PgBouncer;
pub use schema::Schema;
pub use statement_log::{Statement, StatementLog, Transaction};

use self::schema::UndroppedNames;
use self::session::Session;
use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::tls::Authority;
use crate::wait;

/// Role of workers on every server of tests: it owns nothing, and may do what a migration grants it.
pub const WORKER_ROLE: &str = "postern_worker";

/// Role that owns schemas and databases; a superuser.
const OWNER_ROLE: &str = "postgres";

/// Running server on 127.0.0.1, database `postgres`, roles `postgres` and [`WORKER_ROLE`] without password. It ends with this value.
///
/// No write is synced to the disk: the data survive [`Postgres::stop`], but not a crash of the machine.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: Port,
    scratch: Arc<Scratch>,
    authority: Option<Authority>,
    starts: u64,
    settings: Vec<String>,
    /// Number of names given to schemas and databases.
    names: AtomicU64,
    undropped: UndroppedNames,
    undropped_databases: UndroppedNames,
}

impl Postgres {
    /// Starts a server for one test.
    pub async fn start() -> Self {
        Self::start_with(None, &[]).await
    }

    /// Starts a server for one test with further settings, such as `max_connections=8`.
    pub async fn start_with_settings(settings: &[&str]) -> Self {
        Self::start_with(None, settings).await
    }

    /// Starts a server for one test that logs each statement, as [`Postgres::statement_log`] needs.
    pub async fn start_logging_statements() -> Self {
        Self::start_with(None, StatementLog::SETTINGS).await
    }

    /// Starts a server for one test that accepts TLS connections only, with a certificate of an authority of its own.
    pub async fn start_tls() -> Self {
        Self::start_with(Some(Authority::new()), &[]).await
    }

    /// Server that all tests of this process share; each uses only its own [`Postgres::schema`].
    pub async fn shared() -> &'static Self {
        // One server per test process, isolated by schema. It is never dropped: its supervisor ends it.
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Creates an empty schema for one test.
    pub async fn schema(&self) -> Schema {
        for old in self.undropped.take() {
            // A connection may still have a lock on it; the schema then goes with the server.
            let drop = format!(
                "DO $$ BEGIN SET LOCAL lock_timeout = '100ms'; DROP SCHEMA \"{old}\" CASCADE; \
                 EXCEPTION WHEN OTHERS THEN NULL; END $$"
            );
            self.sql(&drop).await;
        }
        let name = self.name();
        self.sql(&format!("CREATE SCHEMA \"{name}\"")).await;
        Schema {
            name,
            addr: self.addr(),
            tls: self.authority.is_some(),
            session: self.session(),
            undropped: self.undropped.clone(),
        }
    }

    /// Creates an empty database for one test, with advisory locks and settings of its own.
    pub async fn database(&self) -> Database {
        self.copy("template0").await
    }

    /// Creates a database for one test as a copy of another one without connections.
    pub async fn copy_of(&self, database: &Database) -> Database {
        self.copy(&database.name).await
    }

    async fn copy(&self, template: &str) -> Database {
        for old in self.undropped_databases.take() {
            self.sql(&format!("DROP DATABASE \"{old}\" WITH (FORCE)")).await;
        }
        let name = self.name();
        self.sql(&format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""))
            .await;
        Database {
            name,
            addr: self.addr(),
            session: self.session(),
            undropped: self.undropped_databases.clone(),
        }
    }

    fn name(&self) -> String {
        format!("t{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// URL of the owner without a schema, for tests of the whole server.
    pub fn url(&self) -> String {
        schema::url(self.addr(), OWNER_ROLE, self.authority.is_some(), "public")
    }

    /// Address of the server.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// PEM file of the authority of the server's certificate; only after [`Postgres::start_tls`].
    pub fn ca_pem_path(&self) -> &Path {
        self.authority
            .as_ref()
            .or_fail("find the authority of a server without TLS")
            .pem_path()
    }

    /// Authority of the server's certificate; only after [`Postgres::start_tls`].
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Process id of the server, the parent of all its processes.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the server and cuts its connections; the data stay.
    pub async fn stop(&mut self) {
        // Fast shutdown of postgres(1).
        self.process.signal(Signal::SIGINT);
        self.process.wait(wait::deadline()).await;
    }

    /// Starts the stopped server again, with the same data on the same port.
    pub async fn start_again(&mut self) {
        self.starts += 1;
        let process = launch(
            &self.scratch,
            &self.port,
            self.authority.is_some(),
            &self.settings,
            self.starts,
        )
        .await;
        self.process = process.or_fail("start postgres on its old port");
    }

    /// Sends SIGKILL to one of the server's processes, as the kernel does when memory runs out: the server ends all connections,
    /// recovers from its log and continues.
    pub fn crash(&self) {
        self.process.kill_child();
    }

    /// Sends SIGSTOP to the server and all its processes: connections stay open and nothing responds.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Sends SIGCONT after a [`Postgres::pause`].
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Runs statements in the schema `public`, as [`Schema::sql`].
    pub async fn sql(&self, statements: &str) -> Vec<String> {
        self.session().run("public", statements).await
    }

    /// Statements from now on; only after [`Postgres::start_logging_statements`].
    pub async fn statement_log(&self) -> StatementLog<'_> {
        StatementLog::start(self).await
    }

    /// Folder of the data and logs.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    async fn start_with(authority: Option<Authority>, settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let scratch = Arc::new(Scratch::owned("postgres", Account::unprivileged()));
        init(&scratch).await;
        configure(&scratch, authority.as_ref());
        for starts in 1..=ATTEMPTS {
            let port = Port::claim();
            if let Some(process) = launch(&scratch, &port, authority.is_some(), &settings, starts).await {
                let postgres = Self {
                    process,
                    port,
                    scratch,
                    authority,
                    starts,
                    settings,
                    names: AtomicU64::new(0),
                    undropped: UndroppedNames::default(),
                    undropped_databases: UndroppedNames::default(),
                };
                postgres.sql(&format!("CREATE ROLE {WORKER_ROLE} LOGIN")).await;
                return postgres;
            }
        }
        fail(
            "start postgres",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    fn session(&self) -> Session {
        Session {
            socket_folder: self.scratch.path().to_owned(),
            port: self.port(),
            database: "postgres".to_owned(),
        }
    }
}

/// Creates the data folder. With locale C and without sync it takes about a second.
async fn init(scratch: &Arc<Scratch>) {
    let mut command = Command::new(program("initdb"));
    command.args(["--pgdata", "data", "--username", "postgres", "--auth", "trust"]);
    command.args(["--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]);
    let initdb = Launch::new("initdb", scratch, command)
        .run_as(Account::unprivileged())
        .start();
    let status = initdb.wait(wait::deadline()).await;
    if status != 0 {
        fail("run initdb", format_args!("it ended with {status}:\n{}", initdb.logs()));
    }
}

/// Writes the access rules and, for TLS, the certificate.
fn configure(scratch: &Scratch, authority: Option<&Authority>) {
    let kind = if authority.is_some() { "hostssl" } else { "host" };
    scratch.write(
        "hba.conf",
        format!("local all all trust\n{kind} all all 127.0.0.1/32 trust\n"),
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

/// Starts the server and waits until it accepts connections; `None` when the port was taken.
async fn launch(scratch: &Arc<Scratch>, port: &Port, tls: bool, settings: &[String], start: u64) -> Option<Process> {
    let mut command = Command::new(program("postgres"));
    command
        .args(["-D", "data", "-p", &port.number().to_string(), "-h", "127.0.0.1", "-k"])
        .arg(scratch.path());
    let mut set = |setting: String| {
        command.args(["-c", &setting]);
    };
    let file = |name: &str| scratch.path().join(name).display().to_string();
    set(format!("hba_file={}", file("hba.conf")));
    for setting in FAST {
        set((*setting).to_owned());
    }
    for setting in settings {
        set(setting.clone());
    }
    if tls {
        set("ssl=on".to_owned());
        set(format!("ssl_cert_file={}", file("server.pem")));
        set(format!("ssl_key_file={}", file("server.key")));
    }
    let launch = Launch::new(format!("postgres-{start}"), scratch, command).run_as(Account::unprivileged());
    // Immediate shutdown: unlike SIGKILL it also ends the server's children and frees shared memory.
    let process = launch.end_with(Signal::SIGQUIT).start();
    let listens = wait::until("postgres to listen", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            _ if log.contains("database system is ready to accept connections") => Some(true),
            Some(_) if log.contains("could not bind IPv4 address") => Some(false),
            Some(status) => fail("start postgres", format_args!("it ended with {status}:\n{log}")),
            None => None,
        }
    });
    listens.await.then_some(process)
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
const ATTEMPTS: u64 = 5;
