//! `postern vault`.

use clap::Subcommand;

use crate::config::RotateArgs;

/// `postern vault`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Re-encrypt all values with the first key of `POSTERN_VAULT_KEYS`, while workers run, and print the keys that may be
    /// retired.
    Rotate(RotateArgs),
}
