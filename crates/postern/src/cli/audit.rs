//! `postern audit`.

use clap::Subcommand;

use crate::config::AuditVerifyArgs;

/// `postern audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the chains of the audit log, and print the first changed row of each.
    Verify(AuditVerifyArgs),
}
