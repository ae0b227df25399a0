//! `postern healthcheck`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::config::{HEALTH_LISTEN, address, heading};

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
