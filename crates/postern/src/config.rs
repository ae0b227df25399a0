//! Settings: from flags and the environment to checked values, with a report of every invalid one.
//!
//! The argument types have the raw text; each section's `check` converts it to the plain settings of a crate and reports invalid
//! values to [`Problems`]. No other module reads the environment.

mod app_webhook;
mod audit;
mod database;
mod effective;
mod environment;
mod gateway;
pub(crate) mod heading;
mod internal_api;
mod log;
mod message;
mod number;
mod path;
mod platform;
mod problem;
mod redis;
mod restore;
mod retention;
mod secret;
mod session;
mod telemetry;
mod token;
mod unknown;
mod vault;
mod webhook;
mod worker;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use app_webhook::{AppWebhookEventArgs, AppWebhookSenderArgs};
pub use audit::AuditVerifyArgs;
pub use database::{DatabaseArgs, MigrateArgs, OwnerArgs};
pub use effective::EffectiveSettings;
pub(crate) use environment::Environment;
pub use gateway::{GatewayArgs, GatewayNode};
pub(crate) use internal_api::TOKENS_FILE as INTERNAL_TOKENS_FILE;
pub use internal_api::{InternalApiArgs, InternalApiNode, TokensFile};
pub use log::LogArgs;
pub use message::{EmailArgs, SmsArgs};
pub use path::{NotAPath, PathArg};
pub use platform::{DiscordArgs, GithubArgs, TelegramArgs, XTwitterArgs};
pub use problem::{ConfigError, Problems};
pub use redis::{RedisArgs, RedisFiles, RedisTlsArgs};
pub use restore::{LossArgs, RestoreCheckArgs};
pub use retention::RetentionArgs;
pub(crate) use secret::with_files;
pub use secret::{SecretArg, SecretError, SecretFile, SecretFileError};
pub use session::SessionArgs;
pub use telemetry::{TelemetryArgs, TelemetrySettings};
pub use token::{JwtSecretArgs, TokenKeyFile, TokenVerificationArgs};
pub(crate) use unknown::unknown_variables;
pub use vault::{RotateArgs, VaultKeysArgs};
pub use webhook::WebhookArgs;
pub use worker::{WorkerArgs, WorkerNode};

/// Default of `POSTERN_HEALTH_LISTEN`: loopback only.
pub(crate) const HEALTH_LISTEN: &str = "127.0.0.1:9090";

/// Parses a flag or variable as a name that is compared byte for byte, without a trailing line break.
fn name(text: &str) -> Result<String, Infallible> {
    Ok(secret::without_line_break(text).to_owned())
}

/// Logs each secret in the environment that ends in a line break, as its other users may include the line break.
pub(crate) fn report_line_breaks(command: &clap::Command, environment: &Environment) {
    for variable in secret_variables(command) {
        let text = environment.get(&variable).unwrap_or_default().as_encoded_bytes();
        if text.ends_with(b"\n") || text.ends_with(b"\r") {
            tracing::warn!(
                variable = variable.to_string_lossy().as_ref(),
                "trailing line break of a secret ignored"
            );
        }
    }
}

/// Variables of a command and its subcommands whose values are secrets.
fn secret_variables(command: &clap::Command) -> BTreeSet<OsString> {
    let own = command.get_arguments().filter(|argument| secret::is_secret(argument));
    let own = own.filter_map(|argument| argument.get_env()).map(OsString::from);
    own.chain(command.get_subcommands().flat_map(secret_variables))
        .collect()
}

/// Parses an address and port to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_not_an_address| "is not an address: `0.0.0.0:8443`, `[::]:8443`")
}

fn duration(text: &str) -> Result<std::time::Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_not_a_duration| "is not a duration: `30s`, `5m`")
}

/// Runtime directory of the user, if the system has one.
#[expect(clippy::disallowed_methods, reason = "the only read of the environment besides clap")]
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests;
