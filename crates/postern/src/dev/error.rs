//! Failure to start `postern dev`.

use simulator::BindError;
use url::ParseError;

use super::identity::IdentityError;
use crate::config::ConfigError;
use crate::node::StartError;

/// Failure to start `postern dev`.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The directory with certificate and secrets cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Invalid `--redis-url` or `--database-url`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Migrating the given database failed.
    #[error("migrate the database")]
    Migrate(#[source] store::SetupError),
    /// The simulator did not start.
    #[error("start the simulator")]
    Simulator(#[from] BindError),
    /// The stored vault key is invalid.
    #[error("the vault key in --dir")]
    VaultKey(#[from] store::vault::VaultKeysError),
    /// The stored token secret is invalid.
    #[error("the token secret in --dir")]
    TokenKey(#[from] gateway::InvalidKey),
    /// The address of the simulator or a gateway is not a URL.
    #[error("parse the addresses of simulator and gateways")]
    Address(#[from] ParseError),
    /// A node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}
