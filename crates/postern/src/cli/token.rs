//! `postern token`.

use std::time::Duration;

use clap::Args;

use super::DirArgs;
use crate::config::JwtSecretArgs;

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
