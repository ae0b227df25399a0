//! `postern smoke-test`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{DirArgs, InternalClientArgs};
use crate::config::JwtSecretArgs;

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
