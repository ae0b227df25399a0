//! The command line. Every setting is a flag and the environment variable of the same name.

use std::path::PathBuf;
use std::time::Duration;

use bus::RedisSettings;
use clap::{Args, Parser, Subcommand};
use protocol::secret::Secret;
use store::PgSettings;

use crate::config::{
    AuditVerifyArgs, ConfigError, DatabaseArgs, GatewayArgs, JwtSecretArgs, LogArgs, MigrateArgs, RedisArgs,
    RotateArgs, VaultKeysArgs, WorkerArgs, secret,
};

/// Real-time account-security gateway.
#[derive(Debug, Parser)]
#[command(name = "postern", version, about)]
pub struct Cli {
    /// How much is logged.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Terminate WSS and fan out events: stateless, run as many as you like.
    Gateway(Box<GatewayArgs>),
    /// Carry out commands: OAuth, syncs, the outbox.
    Worker(Box<WorkerArgs>),
    /// Bring the database schema up to date, and print what that took.
    Migrate(MigrateArgs),
    /// A whole cluster in one process, nothing to install: two gateways, a worker, simulated platforms.
    Dev(Box<DevArgs>),
    /// Print a token for a user, signed with the HS256 secret (or the secret of `postern dev`).
    Token(TokenArgs),
    /// Publish an event to a user through the internal API.
    Publish(PublishArgs),
    /// Help a user who cannot give the second factor.
    #[command(subcommand)]
    Factor(FactorAction),
    /// Print what clients pin of certificates: `sha256/<base64>` of each one's public key, a line each.
    Pins(PinsArgs),
    /// What seals tokens.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// `postern vault`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Seal everything anew with the first key of `POSTERN_VAULT_KEYS`, while workers run; says which keys may be retired.
    Rotate(RotateArgs),
}

/// `postern audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk the chains of the audit log and name each one's first row that is not as it was written.
    Verify(AuditVerifyArgs),
}

/// `postern dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Print one JSON line once ready, and nothing else, on stdout.
    #[arg(long)]
    pub json: bool,
    /// Where the certificate, the token secret and the internal token are kept, for the next run and for `token` and `publish`.
    #[command(flatten)]
    pub dir: DirArgs,
    /// A real Redis instead of the embedded bus.
    #[arg(long, env = "POSTERN_REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_url: Option<Secret>,
    /// What every key and channel in it begins with.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = RedisArgs::PREFIX)]
    pub redis_prefix: String,
    /// A real Postgres instead of the embedded store; it is migrated first.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

impl DevArgs {
    /// The real Redis, where one is wanted.
    ///
    /// # Errors
    /// What is wrong with its URL or prefix.
    pub fn redis(&self) -> Result<Option<RedisSettings>, ConfigError> {
        let wanted = self.redis_url.clone().map(|redis_url| RedisArgs {
            redis_url,
            redis_prefix: self.redis_prefix.clone(),
            redis_limits_url: None,
        });
        wanted.map(|redis| redis.settings()).transpose()
    }

    /// The real Postgres, where one is wanted.
    ///
    /// # Errors
    /// What is wrong with its URL.
    pub fn postgres(&self) -> Result<Option<PgSettings>, ConfigError> {
        self.database
            .database_url
            .is_some()
            .then(|| self.database.settings())
            .transpose()
    }
}

/// Where `postern dev` keeps what it made.
#[derive(Debug, Args)]
pub struct DirArgs {
    /// Default: `$XDG_RUNTIME_DIR/postern`, else `postern-<uid>` in the temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// `postern token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The user: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// The session: the token's `sid`.
    #[arg(long)]
    pub sid: Option<String>,
    /// How long it holds; gateways refuse one that holds for longer than 31 days, unless they are told otherwise.
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// What it is signed with.
    #[command(flatten)]
    pub secret: JwtSecretArgs,
    /// Where `postern dev` keeps its secret.
    #[command(flatten)]
    pub dir: DirArgs,
}

/// `postern factor`.
#[derive(Debug, Subcommand)]
pub enum FactorAction {
    /// Forget the wrong codes, and so end delay and lock.
    Unlock(FactorUser),
    /// Remove the second factor and its recovery codes.
    Reset(FactorUser),
}

/// Whose second factor.
#[derive(Debug, Args)]
pub struct FactorUser {
    /// The user: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Which Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What signs the audit log.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

/// `postern publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Whose devices hear it.
    #[arg(long)]
    pub user: String,
    /// `security:alert`, `notification:incoming` or `account:status_changed`.
    #[arg(long)]
    pub event: String,
    /// The payload, JSON.
    #[arg(long)]
    pub data: String,
    /// The same key again publishes nothing new.
    #[arg(long)]
    pub idempotency_key: Option<String>,
    /// The internal address of a gateway, `http://127.0.0.1:9090`; default: the first gateway of `postern dev`.
    #[arg(long)]
    pub server: Option<String>,
    /// The bearer token of the internal API.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", hide_env_values = true, value_parser = secret)]
    pub internal_token: Option<Secret>,
    /// Where `postern dev` keeps its token and addresses.
    #[command(flatten)]
    pub dir: DirArgs,
}

/// `postern pins`.
#[derive(Debug, Args)]
pub struct PinsArgs {
    /// PEM files with one or more certificates each.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub cert: Vec<PathBuf>,
}
