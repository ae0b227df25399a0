//! Command line. Every setting is a flag and the environment variable of the same name.

mod audit;
mod config;
mod dev;
mod factor;
mod healthcheck;
mod internal_client;
mod jobs;
mod migrate;
mod operator;
mod output;
mod pins;
mod prune;
mod publish;
mod redis;
mod restore;
mod sessions;
mod smoke_test;
mod tasks;
mod token;
mod users;
mod vault;
mod webhooks;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::audit::{AuditArchiveArgs, AuditCommand, AuditExportArgs, AuditTailArgs, Moment};
pub use self::config::{CheckArgs, CheckedNode, ConfigCommand};
pub use self::dev::{DevArgs, DirArgs};
pub use self::factor::{FactorAction, FactorUser};
pub use self::healthcheck::HealthcheckArgs;
pub use self::internal_client::{InternalClientArgs, InternalTlsArgs};
pub use self::jobs::{JobsCommand, JobsDiscardArgs, JobsListArgs, JobsRetryArgs};
pub use self::migrate::MigrateCommand;
pub use self::operator::OperatorArgs;
pub(crate) use self::operator::OperatorSettings;
pub use self::output::OutputArgs;
pub use self::pins::PinsArgs;
pub use self::prune::PruneArgs;
pub use self::publish::PublishArgs;
pub use self::redis::{AclArgs, RedisCommand};
pub use self::restore::{RestoreApplyCommand, RestoreCheckCommand, RestoreCommand};
pub use self::sessions::{SessionsCommand, SessionsEndArgs, SessionsListArgs, SessionsToEnd};
pub use self::smoke_test::SmokeTestArgs;
pub use self::tasks::{TasksCommand, TasksListArgs, TasksRetryArgs, TasksToRetry};
pub use self::token::TokenArgs;
pub use self::users::{UsersCommand, UsersEraseArgs, UsersShowArgs};
pub use self::vault::VaultCommand;
pub use self::webhooks::{WebhooksChangeArgs, WebhooksCommand, WebhooksListArgs, WebhooksTestArgs, WebhooksToChange};
use crate::config::{EffectiveSettings, Environment, GatewayArgs, LogArgs, TelemetryArgs, WorkerArgs, with_files};

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
        let mut program = with_files(Self::command(), environment);
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
    Migrate(MigrateCommand),
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
    /// List or end the sessions of a user.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// List, retry or discard the jobs of a lane.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// List or retry the tasks of the durable queue.
    #[command(subcommand)]
    Tasks(TasksCommand),
    /// List, retry or discard the webhooks that the application has not accepted, or send one as a test.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Show what the store has about a user.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Delete expired rows now, without pauses, as workers do on a schedule.
    Prune(Box<PruneArgs>),
    /// Print the pins of certificates for clients: `sha256/<base64>` of each public key, one per line.
    Pins(PinsArgs),
    /// Print what Redis must permit.
    #[command(subcommand)]
    Redis(RedisCommand),
    /// Manage the vault, which encrypts tokens.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Check a restored database.
    #[command(subcommand)]
    Restore(RestoreCommand),
    /// Verify, export, follow or archive the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Command {
    /// Properties of each command.
    fn properties(&self) -> CommandProperties<'_> {
        use CommandProperties as Properties;
        match self {
            Self::Gateway(args) => Properties::of_node("gateway", &args.telemetry),
            Self::Worker(args) => Properties::of_node("worker", &args.telemetry),
            Self::Migrate(_) => Properties::OF_DEPLOYMENT,
            Self::Dev(args) => Properties {
                nodes: Some(("dev", &args.telemetry)),
                ..Properties::OF_SHELL
            },
            Self::Token(_) => Properties::OF_SHELL,
            Self::Publish(_) => Properties::OF_SHELL,
            Self::Healthcheck(_) => Properties::OF_SHELL,
            Self::SmokeTest(_) => Properties::OF_SHELL,
            Self::Factor(_) => Properties::OF_DEPLOYMENT,
            Self::Sessions(_) => Properties::OF_DEPLOYMENT,
            Self::Jobs(_) => Properties::OF_DEPLOYMENT,
            Self::Tasks(_) => Properties::OF_DEPLOYMENT,
            Self::Webhooks(_) => Properties::OF_DEPLOYMENT,
            Self::Users(_) => Properties::OF_DEPLOYMENT,
            Self::Prune(_) => Properties::OF_DEPLOYMENT,
            Self::Pins(_) => Properties::OF_SHELL,
            Self::Redis(_) => Properties::OF_SHELL,
            Self::Vault(_) => Properties::OF_DEPLOYMENT,
            Self::Restore(_) => Properties::OF_DEPLOYMENT,
            Self::Audit(_) => Properties::OF_DEPLOYMENT,
            Self::Config(_) => Properties::OF_DEPLOYMENT,
        }
    }

    /// Role of the nodes that the command runs, and the settings of their telemetry; none for a command without nodes.
    pub(crate) fn nodes(&self) -> Option<(&'static str, &TelemetryArgs)> {
        self.properties().nodes
    }

    /// Returns true for the commands of a deployment, whose environment is for Postern: there a `POSTERN_` variable that no command
    /// knows is a mistake. The environment of the others is that of a shell.
    pub(crate) fn is_of_deployment(&self) -> bool {
        self.properties().is_of_deployment
    }
}

/// Properties of a command, as [`Command::nodes`] and [`Command::is_of_deployment`] return them.
struct CommandProperties<'a> {
    nodes: Option<(&'static str, &'a TelemetryArgs)>,
    is_of_deployment: bool,
}

impl<'a> CommandProperties<'a> {
    /// Small command with the environment of a deployment.
    const OF_DEPLOYMENT: Self = Self {
        nodes: None,
        is_of_deployment: true,
    };
    /// Small command with the environment of a shell.
    const OF_SHELL: Self = Self {
        nodes: None,
        is_of_deployment: false,
    };

    fn of_node(role: &'static str, telemetry: &'a TelemetryArgs) -> Self {
        Self {
            nodes: Some((role, telemetry)),
            ..Self::OF_DEPLOYMENT
        }
    }
}
