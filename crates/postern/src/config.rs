//! Settings: from flags and the environment to checked values, every wrong one named.
//!
//! The argument types hold what was typed; each section's `check` turns it into the plain settings of a crate and notes what is
//! wrong in [`Problems`]. This is the only place that reads the environment.

mod audit;
mod database;
mod gateway;
mod log;
mod message;
mod platform;
mod problem;
mod redis;
mod token;
mod vault;
mod webhook;
mod worker;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use protocol::secret::Secret;

pub use audit::AuditVerifyArgs;
pub use database::{DatabaseArgs, MigrateArgs};
pub use gateway::{GatewayArgs, GatewayNode};
pub use log::LogArgs;
pub use message::{EmailArgs, SmsArgs};
pub use platform::{DiscordArgs, GithubArgs, TelegramArgs, XTwitterArgs};
pub use problem::{ConfigError, Problems};
pub use redis::RedisArgs;
pub use token::{JwtSecretArgs, TokenArgs};
pub use vault::{RotateArgs, VaultKeysArgs};
pub use webhook::WebhookArgs;
pub use worker::{WorkerArgs, WorkerNode};

/// The default of `POSTERN_INTERNAL_LISTEN`: this machine only, until someone says otherwise.
const INTERNAL_LISTEN: &str = "127.0.0.1:9090";

/// Takes a flag or variable as a secret, without the line break that `echo` puts behind what it writes to a file.
///
/// # Errors
/// Never; the form is clap's.
pub fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(without_line_break(text)))
}

/// Takes a flag or variable as a name that is compared byte for byte, likewise.
fn name(text: &str) -> Result<String, Infallible> {
    Ok(without_line_break(text).to_owned())
}

fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// Logs each secret in the environment that ends in a line break: whoever uses it elsewhere may have it otherwise.
#[expect(
    clippy::disallowed_methods,
    reason = "clap shows which variables there are, not what was left out of them"
)]
pub(crate) fn report_line_breaks(command: &clap::Command) {
    for variable in secret_variables(command) {
        let text = std::env::var_os(&variable).unwrap_or_default();
        if text.as_encoded_bytes().ends_with(b"\n") || text.as_encoded_bytes().ends_with(b"\r") {
            tracing::warn!(
                variable = variable.to_string_lossy().as_ref(),
                "secret ends in a line break, which is left out"
            );
        }
    }
}

/// The variables of a command and its subcommands whose values are not shown.
fn secret_variables(command: &clap::Command) -> BTreeSet<OsString> {
    let own = command
        .get_arguments()
        .filter(|argument| argument.is_hide_env_values_set());
    let own = own.filter_map(|argument| argument.get_env()).map(OsStr::to_owned);
    own.chain(command.get_subcommands().flat_map(secret_variables))
        .collect()
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_not_an_address| "is no address: `0.0.0.0:8443`, `[::]:8443`")
}

fn duration(text: &str) -> Result<std::time::Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_not_a_duration| "is no duration: `30s`, `5m`")
}

/// The user's folder for what lives as long as the login, where the system has one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment beside clap"
)]
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_secret_ends_before_its_line_break_and_keeps_everything_else() {
        for (text, kept) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s3\ncret ", " s3\ncret "),
            ("\n", ""),
        ] {
            assert_eq!(secret(text).unwrap().expose(), kept);
        }
    }

    #[test]
    fn every_variable_that_is_named_like_a_secret_is_one() {
        let secrets = secret_variables(&Cli::command());
        let named = variables(&Cli::command()).into_iter().filter(|variable| {
            variable.ends_with("_SECRET") || variable.ends_with("_TOKEN") || variable.ends_with("_KEYS")
        });
        for variable in named {
            assert!(secrets.contains(OsStr::new(&variable)), "{variable}");
        }
        for variable in ["POSTERN_DATABASE_URL", "POSTERN_REDIS_URL", "POSTERN_SMTP_URL"] {
            assert!(secrets.contains(OsStr::new(variable)), "{variable}");
        }
    }

    fn variables(command: &clap::Command) -> BTreeSet<String> {
        let own = command.get_arguments().filter_map(|argument| argument.get_env());
        let own = own.map(|variable| variable.to_string_lossy().into_owned());
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }
}
