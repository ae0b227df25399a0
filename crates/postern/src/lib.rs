//! Composition of Postern: settings, nodes, `postern dev`, and the small commands.
//!
//! Owns: the command line, the environment, the composition of a node from its crates, and when it starts and stops.
//!
//! Must not hold any logic of a gateway or a worker: those are libraries, and two of each fit in one process.

pub mod cli;
pub mod config;

mod audit;
mod check;
mod dev;
mod event_request;
mod exports;
mod factor;
mod healthcheck;
mod http1;
mod metrics;
mod migrate;
mod node;
mod operator;
mod pins;
mod publish;
mod report;
mod restore;
mod signed_token;
mod smoke_test;
mod token;
mod vault;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use cli::{AuditCommand, Cli, Command, ConfigCommand, RedisCommand, RestoreCommand, VaultCommand};
use config::{EffectiveSettings, Environment, LogArgs, Problems};
use lifecycle::SystemClock;
use nix::sys::resource::{Resource, setrlimit};
use report::{print, print_report};
use telemetry::export::{ExporterError, Exports};
use telemetry::logs::LogsError;

pub use audit::{ArchiveError, ArchiveFileError, ArchivesError, AuditError, BrokenChains, ExportError, HeadsError};
pub use dev::{DevError, IdentityError};
pub use factor::FactorError;
pub use healthcheck::HealthcheckError;
pub use migrate::MigrateError;
pub use node::{ListenError, StartError};
pub use operator::OperatorError;
pub use pins::PinsError;
pub use publish::{PublishError, TlsClientError};
pub use restore::RestoreError;
pub use smoke_test::SmokeTestError;
pub use token::TokenError;
pub use vault::VaultError;

/// Failed command.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Wrong settings; all of them.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// The log could not be initialized.
    #[error("set up the log")]
    Log(#[from] LogsError),
    /// Core files could not be disabled.
    #[error("disable core files")]
    CoreFiles(#[source] nix::Error),
    /// The tokio runtime did not start.
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    /// A node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `postern dev` failed.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// The telemetry cannot be exported as the settings want it.
    #[error("export telemetry")]
    Telemetry(#[from] ExporterError),
    /// `postern migrate` failed.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// `postern token` failed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// `postern publish` failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// `postern healthcheck` failed.
    #[error(transparent)]
    Healthcheck(#[from] HealthcheckError),
    /// `postern smoke-test` failed.
    #[error(transparent)]
    SmokeTest(#[from] SmokeTestError),
    /// `postern factor` failed.
    #[error(transparent)]
    Factor(#[from] FactorError),
    /// A command of an operator failed.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// `postern pins` failed.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// `postern vault` failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The result of a command could not be serialized.
    #[error("serialize the result")]
    Report(#[from] serde_json::Error),
    /// `postern audit export` or `postern audit tail` failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// `postern audit archive` failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// `postern restore check` failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// `postern audit verify` failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Runs the command of the command line until it is done or the process is signalled to stop. The first argument is the name of the
/// program. Exits where the command line is wrong or asks for help.
///
/// # Errors
/// [`RunError`].
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, RunError> {
    let environment = Environment::of_process();
    let (cli, settings) = Cli::parse_in(&environment, arguments).unwrap_or_else(|refusal| refusal.exit());
    let program = Cli::command();
    // A core file would contain every key and token of the process.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(RunError::CoreFiles)?;
    let (exports, exporters) = exports::of_command(&cli.command);
    let log = init_log(&cli.log, &exports)?;
    config::report_line_breaks(&program, &environment);
    let problems = if cli.command.is_of_deployment() {
        config::unknown_variables(&environment, &program).and(log)
    } else {
        log.finish(Some(()))?;
        Problems::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let role = cli.command.nodes().map(|(role, _)| role);
    let work = Box::pin(command(cli.command, settings, problems, &exports));
    runtime.block_on(exports::exporting(role, &exports, exporters, work))?
}

/// Initializes the log. A wrong filter or format is a problem to report, and the default one is in its place until then.
fn init_log(args: &LogArgs, exports: &Exports) -> Result<Problems, LogsError> {
    let mut problems = Problems::default();
    let format = problems.take("POSTERN_LOG_FORMAT", args.format());
    let format = format.unwrap_or_else(LogArgs::default_format);
    match telemetry::logs::init(format, &args.filter, exports) {
        Err(LogsError::Filter(error)) => {
            problems.report("POSTERN_LOG", format!("is not a log filter: {error}"));
            telemetry::logs::init(format, LogArgs::FILTER, exports)?;
        }
        result => result?,
    }
    Ok(problems)
}

async fn command(
    command: Command,
    settings: EffectiveSettings,
    problems: Problems,
    exports: &Exports,
) -> Result<ExitCode, RunError> {
    match command {
        Command::Gateway(args) => Ok(Box::pin(node::gateway(args.settings(problems)?, exports)).await?),
        Command::Worker(args) => Ok(Box::pin(node::worker(args.settings(problems)?, exports)).await?),
        Command::Dev(args) => Ok(Box::pin(dev::run(*args, exports)).await?),
        Command::Migrate(args) => {
            let report = migrate::migrate(&args.settings, problems).await?;
            Ok(print_report(&report, args.output)?)
        }
        Command::Token(args) => Ok(print(&token::create(&args, &SystemClock)?)),
        Command::Publish(args) => Ok(print(&publish::publish(&args).await?)),
        Command::Healthcheck(args) => Ok(print(&healthcheck::healthcheck(&args).await?)),
        Command::SmokeTest(args) => Ok(print(&Box::pin(smoke_test::smoke_test(&args, &SystemClock)).await?)),
        Command::Factor(action) => {
            let report = factor::change_factor(&action, problems).await?;
            Ok(print_report(&report, action.user().output)?)
        }
        Command::Sessions(command) => Ok(Box::pin(operator::sessions(&command, problems)).await?),
        Command::Jobs(command) => Ok(Box::pin(operator::jobs(&command, problems)).await?),
        Command::Tasks(command) => Ok(operator::tasks(&command, problems).await?),
        Command::Webhooks(command) => Ok(Box::pin(operator::webhooks(&command, problems)).await?),
        Command::Users(command) => Ok(operator::users(&command, problems).await?),
        Command::Prune(args) => Ok(operator::prune(&args, problems).await?),
        Command::Pins(args) => Ok(print(&pins::pins(&args.cert)?)),
        Command::Redis(RedisCommand::Acl(args)) => Ok(print(&bus::acl_rules(&args.prefix()?))),
        Command::Vault(VaultCommand::Rotate(args)) => {
            let (report, code) = vault::rotate_keys(&args, problems).await?;
            print(&report);
            Ok(code)
        }
        Command::Restore(RestoreCommand::Check(args)) => {
            let report = Box::pin(restore::check(&args.settings, problems, &SystemClock)).await?;
            print_report(&report, args.output)?;
            Ok(report.exit_code())
        }
        Command::Restore(RestoreCommand::Apply(args)) => {
            let report = Box::pin(restore::apply(&args, problems, &SystemClock)).await?;
            print_report(&report, args.output)?;
            Ok(report.exit_code())
        }
        Command::Audit(AuditCommand::Verify(args)) => Ok(print(&Box::pin(audit::verify(&args, problems)).await?)),
        Command::Audit(AuditCommand::Export(args)) => {
            Box::pin(audit::export(&args, problems)).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Audit(AuditCommand::Archive(args)) => Ok(Box::pin(audit::archive(&args, problems)).await?),
        Command::Audit(AuditCommand::Tail(args)) => {
            Box::pin(audit::tail(&args, problems)).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Check(args)) => {
            let (output, result) = check::check(&args, settings, problems)?;
            print(&output);
            Ok(result?)
        }
    }
}
