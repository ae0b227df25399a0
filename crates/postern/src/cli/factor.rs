//! `postern factor`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};

/// `postern factor`.
#[derive(Debug, Subcommand)]
pub enum FactorAction {
    /// Clear the count of wrong codes, which ends delay and lockout.
    Unlock(FactorUser),
    /// Remove the second factor and its recovery codes.
    Reset(FactorUser),
}

impl FactorAction {
    /// User, and the settings of the command.
    pub(crate) fn user(&self) -> &FactorUser {
        match self {
            Self::Unlock(user) | Self::Reset(user) => user,
        }
    }
}

/// User of a `postern factor` command.
#[derive(Debug, Args)]
pub struct FactorUser {
    /// User: the token's `sub`.
    #[arg(long)]
    pub user: String,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}
