//! `postern redis`.

use bus::Prefix;
use clap::{Args, Subcommand};

use crate::config::{ConfigError, Problems, RedisArgs, heading};

/// `postern redis`.
#[derive(Debug, Subcommand)]
pub enum RedisCommand {
    /// Print the ACL rules of the Redis user of all nodes. Connects to nothing.
    Acl(AclArgs),
}

/// `postern redis acl`.
#[derive(Debug, Args)]
pub struct AclArgs {
    /// Prefix of every key and channel.
    #[arg(long, env = PREFIX, default_value = RedisArgs::PREFIX, help_heading = heading::REDIS)]
    pub redis_prefix: String,
}

impl AclArgs {
    /// Prefix of the rules.
    ///
    /// # Errors
    /// Invalid prefix.
    pub fn prefix(&self) -> Result<Prefix, ConfigError> {
        let mut problems = Problems::default();
        let prefix = problems.take(PREFIX, self.redis_prefix.parse());
        problems.finish(prefix)
    }
}

const PREFIX: &str = "POSTERN_REDIS_PREFIX";
