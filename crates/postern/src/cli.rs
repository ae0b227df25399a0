//! Command line. Every setting is a flag and the environment variable of the same name.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bus::RedisSettings;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use protocol::secret::Secret;
use store::PgSettings;

use crate::config::{
    self, AuditVerifyArgs, ConfigError, DatabaseArgs, EffectiveSettings, Environment, GatewayArgs, HEALTH_LISTEN,
    JwtSecretArgs, LogArgs, MigrateArgs, Problems, RedisArgs, RotateArgs, SecretArg, TelemetryArgs, VaultKeysArgs,
    WorkerArgs, address, heading,
};

/// Real-time account-security gateway.
#[derive(Debug, Parser)]
#[command(name = "postern", version)]
pub struct Cli {
    /// Log settings.
    #[command(flatten)]
    pub log: LogArgs,
    /// Command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the command line and the environment, and returns the effective settings of the command too.
    ///
    /// # Errors
    /// Refusals of clap; among them the help.
    pub(crate) fn parse_in(
        environment: &Environment,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<(Self, EffectiveSettings), clap::Error> {
        let mut program = config::with_files(Self::command(), environment);
        let matches = program.try_get_matches_from_mut(arguments)?;
        let cli = Self::from_arg_matches(&matches)?;
        let (mut command, mut matches) = (&program, &matches);
        while let Some((name, below)) = matches.subcommand() {
            command = command.find_subcommand(name).unwrap_or(command);
            matches = below;
        }
        Ok((cli, EffectiveSettings::of(command, matches)))
    }
}

/// Commands of `postern`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a gateway: terminate WSS and fan out events. Stateless, so run as many as needed.
    Gateway(Box<GatewayArgs>),
    /// Run a worker: commands, OAuth, syncs, the outbox.
    Worker(Box<WorkerArgs>),
    /// Migrate the database schema, and print the applied migrations.
    Migrate(MigrateArgs),
    /// Run a whole cluster in one process, with nothing to install: two gateways, a worker, simulated platforms.
    Dev(Box<DevArgs>),
    /// Print a token for a user, signed with the HS256 secret (or the secret of `postern dev`).
    Token(TokenArgs),
    /// Publish an event to a user through the internal API.
    Publish(PublishArgs),
    /// Ask the node in this container whether it is ready: exit status 0, or 1 and the reason.
    Healthcheck(HealthcheckArgs),
    /// Publish an alert through the internal API and receive it on a client's socket.
    SmokeTest(SmokeTestArgs),
    /// Unlock or reset the second factor of a user.
    #[command(subcommand)]
    Factor(FactorAction),
    /// Print the pins of certificates for clients: `sha256/<base64>` of each public key, one per line.
    Pins(PinsArgs),
    /// Manage the vault, which encrypts tokens.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Verify the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Command {
    /// Role of the nodes that the command runs, and the settings of their telemetry; none for a command without nodes.
    pub(crate) fn nodes(&self) -> Option<(&'static str, &TelemetryArgs)> {
        match self {
            Self::Gateway(args) => Some(("gateway", &args.telemetry)),
            Self::Worker(args) => Some(("worker", &args.telemetry)),
            Self::Dev(args) => Some(("dev", &args.telemetry)),
            Self::Migrate(_)
            | Self::Token(_)
            | Self::Publish(_)
            | Self::Healthcheck(_)
            | Self::SmokeTest(_)
            | Self::Factor(_)
            | Self::Pins(_)
            | Self::Vault(_)
            | Self::Audit(_)
            | Self::Config(_) => None,
        }
    }

    /// Returns true for the commands of a deployment, whose environment is for Postern: there a `POSTERN_` variable that no command
    /// knows is a mistake. The environment of the others is that of a shell.
    pub(crate) fn is_of_deployment(&self) -> bool {
        match self {
            Self::Gateway(_)
            | Self::Worker(_)
            | Self::Migrate(_)
            | Self::Factor(_)
            | Self::Vault(_)
            | Self::Audit(_)
            | Self::Config(_) => true,
            Self::Dev(_)
            | Self::Token(_)
            | Self::Publish(_)
            | Self::Healthcheck(_)
            | Self::SmokeTest(_)
            | Self::Pins(_) => false,
        }
    }
}

/// `postern config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective settings of a node, secrets masked, and all faults; exit with 1 if there are any. Connects to nothing.
    Check(CheckArgs),
}

/// `postern config check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print one JSON object: `{"settings": [{"variable", "value", "source", "file"}], "faults": [...]}`.
    #[arg(long, global = true)]
    pub json: bool,
    /// Node, with the flags of its command.
    #[command(subcommand)]
    pub node: CheckedNode,
}

/// Node whose settings are checked.
#[derive(Debug, Subcommand)]
pub enum CheckedNode {
    /// Settings of `postern gateway`.
    Gateway(Box<GatewayArgs>),
    /// Settings of `postern worker`.
    Worker(Box<WorkerArgs>),
}

/// `postern vault`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Re-encrypt all values with the first key of `POSTERN_VAULT_KEYS`, while workers run, and print the keys that may be
    /// retired.
    Rotate(RotateArgs),
}

/// `postern audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the chains of the audit log, and print the first changed row of each.
    Verify(AuditVerifyArgs),
}

/// `postern dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Print one JSON line once ready, and nothing else, to stdout.
    #[arg(long)]
    pub json: bool,
    /// Directory of the certificate, the token secret and the internal token, for the next run and for `token` and `publish`.
    #[command(flatten)]
    pub dir: DirArgs,
    /// URL of a Redis to use instead of the embedded bus.
    #[arg(long, env = "POSTERN_REDIS_URL", help_heading = heading::REDIS)]
    pub redis_url: Option<SecretArg>,
    /// Prefix of every key and channel in Redis.
    #[arg(long, env = "POSTERN_REDIS_PREFIX", default_value = RedisArgs::PREFIX, help_heading = heading::REDIS)]
    pub redis_prefix: String,
    /// Postgres to use instead of the embedded store; it is migrated first.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Export of telemetry.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

impl DevArgs {
    /// Settings of the given Redis, if any.
    ///
    /// # Errors
    /// Invalid URL or prefix.
    pub fn redis(&self) -> Result<Option<RedisSettings>, ConfigError> {
        let wanted = self.redis_url.clone().map(|redis_url| RedisArgs {
            redis_url,
            redis_prefix: self.redis_prefix.clone(),
            redis_limits_url: None,
        });
        wanted.map(|redis| redis.settings()).transpose()
    }

    /// Settings of the given Postgres, if any.
    ///
    /// # Errors
    /// Invalid URL.
    pub fn postgres(&self) -> Result<Option<PgSettings>, ConfigError> {
        self.database
            .database_url
            .is_some()
            .then(|| self.database.settings(Problems::default()))
            .transpose()
    }
}

/// Directory of `postern dev`.
#[derive(Debug, Clone, Args)]
pub struct DirArgs {
    /// Directory; default: `$XDG_RUNTIME_DIR/postern`, else `postern-<uid>` in the temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// `postern token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Session: the token's `sid`.
    #[arg(long)]
    pub sid: Option<String>,
    /// Lifetime; gateways refuse more than 31 days by default.
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Signing secret.
    #[command(flatten)]
    pub secret: JwtSecretArgs,
    /// Directory of `postern dev` with its secret.
    #[command(flatten)]
    pub dir: DirArgs,
}

/// `postern factor`.
#[derive(Debug, Subcommand)]
pub enum FactorAction {
    /// Clear the count of wrong codes, which ends delay and lockout.
    Unlock(FactorUser),
    /// Remove the second factor and its recovery codes.
    Reset(FactorUser),
}

/// User of a `postern factor` command.
#[derive(Debug, Args)]
pub struct FactorUser {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys, which sign the audit log.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
}

/// Client of the internal API: address, TLS and token.
#[derive(Debug, Clone, Args)]
pub struct InternalClientArgs {
    /// Internal API of a gateway, `http://127.0.0.1:9091` or `https://...`; default: the first gateway of `postern dev`.
    #[arg(long)]
    pub server: Option<String>,
    /// TLS of the internal API.
    #[command(flatten)]
    pub tls: InternalTlsArgs,
    /// Bearer token of the internal API.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", help_heading = heading::INTERNAL_API)]
    pub internal_token: Option<SecretArg>,
}

impl InternalClientArgs {
    /// Bearer token, if one is set.
    ///
    /// # Errors
    /// Token that cannot be taken.
    pub fn internal_token(&self) -> Result<Option<Secret>, ConfigError> {
        let mut problems = Problems::default();
        let token = problems.optional_secret("POSTERN_INTERNAL_TOKEN", self.internal_token.as_ref());
        problems.finish(Some(token))
    }
}

/// TLS of a client of the internal API.
#[derive(Debug, Clone, Args)]
pub struct InternalTlsArgs {
    /// PEM file of the authorities of the internal API's certificate, for https.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub ca: Option<PathBuf>,
    /// PEM file of a client certificate, where the internal API requires one.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub client_cert: Option<PathBuf>,
    /// PEM file of the key of the client certificate.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub client_key: Option<PathBuf>,
}

/// `postern publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// User who receives it.
    #[arg(long)]
    pub user: String,
    /// Event: `security:alert`, `notification:incoming` or `account:status_changed`.
    #[arg(long)]
    pub event: String,
    /// Payload, JSON.
    #[arg(long)]
    pub data: String,
    /// Idempotency key: a repeated key publishes nothing new.
    #[arg(long)]
    pub idempotency_key: Option<String>,
    /// Internal API, and the access to it.
    #[command(flatten)]
    pub api: InternalClientArgs,
    /// Directory of `postern dev` with its token and addresses.
    #[command(flatten)]
    pub dir: DirArgs,
}

/// `postern healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Address on which the node serves its health; an unspecified one (`0.0.0.0`) is asked on loopback.
    #[arg(long, env = "POSTERN_HEALTH_LISTEN", default_value = HEALTH_LISTEN, help_heading = heading::LISTENERS)]
    #[arg(value_parser = address)]
    pub health_listen: SocketAddr,
    /// Time limit for the response.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// `postern smoke-test`.
#[derive(Debug, Args)]
pub struct SmokeTestArgs {
    /// Public address of the gateways: `host:port`.
    #[arg(long)]
    pub gateway: String,
    /// PEM file whose first certificate the gateway must present.
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
    /// Internal API, and the access to it.
    #[command(flatten)]
    pub api: InternalClientArgs,
    /// User of the test, preferably one that does not exist.
    #[arg(long, default_value = "smoke-test")]
    pub user: String,
    /// File of a token for this user; without it one is signed with the HS256 secret.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Signing secret.
    #[command(flatten)]
    pub secret: JwtSecretArgs,
    /// Time limit for the whole test.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Directory of `postern dev` with its secrets and addresses.
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
