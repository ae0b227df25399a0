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

use std::net::SocketAddr;
use std::path::PathBuf;

use protocol::secret::Secret;

pub use audit::AuditVerifyArgs;
pub use database::DatabaseArgs;
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

/// Takes a flag or variable as a secret.
///
/// # Errors
/// Never; the form is clap's.
pub fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
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
