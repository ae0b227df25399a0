//! Real Postgres server: one for a test, or one that all tests of a process share.

mod backup;
mod database;
mod pooler;
mod schema;
mod server;
mod session;
mod standby;
mod statement_log;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

pub use backup::Backup;
pub use database::Database;
pub use pooler::PgBouncer;
pub use schema::Schema;
pub use statement_log::{Statement, StatementLog, Transaction};

use self::schema::UndroppedNames;
use self::server::{ServerState, Start};
use self::session::Session;
use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::process::Process;
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

    /// Starts a server for one test that logs the plan of each statement, for [`Postgres::log`].
    pub async fn start_explaining() -> Self {
        let settings = [
            "session_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
        ];
        Self::start_with(None, &settings).await
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

    /// Schema of this name as it was restored or replicated from the server of `original`.
    pub fn schema_of_copy(&self, original: &Schema) -> Schema {
        Schema {
            name: original.name().to_owned(),
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
        let start = Start {
            scratch: &self.scratch,
            is_tls: self.authority.is_some(),
            settings: &self.settings,
            number: self.starts,
            state: ServerState::Primary,
        };
        let process = start.on(&self.port).await;
        self.process = process.or_fail("start postgres on its old port");
    }

    /// Ends the server at once: no connection is notified, nothing is written any more.
    pub async fn kill(&mut self) {
        // Immediate shutdown of postgres(1). SIGKILL would leave the server's children, who still answer.
        self.process.signal(Signal::SIGQUIT);
        self.process.wait(wait::deadline()).await;
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

    /// Log of the server.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Folder of the data and logs.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    async fn start_with(authority: Option<Authority>, settings: &[&str]) -> Self {
        let scratch = Arc::new(Scratch::owned("postgres", Account::unprivileged()));
        server::init(&scratch).await;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let postgres = Self::serve(scratch, authority, settings, ServerState::Primary).await;
        postgres.sql(&format!("CREATE ROLE {WORKER_ROLE} LOGIN")).await;
        postgres
    }

    /// Starts a server on a data folder that was created or copied.
    async fn serve(
        scratch: Arc<Scratch>,
        authority: Option<Authority>,
        settings: Vec<String>,
        state: ServerState,
    ) -> Self {
        server::configure(&scratch, authority.as_ref());
        for starts in 1..=server::ATTEMPTS {
            let port = Port::claim();
            let start = Start {
                scratch: &scratch,
                is_tls: authority.is_some(),
                settings: &settings,
                number: starts,
                state,
            };
            if let Some(process) = start.on(&port).await {
                return Self {
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
            }
        }
        let attempts = server::ATTEMPTS;
        fail(
            "start postgres",
            format_args!("each of {attempts} ports was taken:\n{}", scratch.logs()),
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
