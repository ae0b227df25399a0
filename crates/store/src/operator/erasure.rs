//! Erasure of a user.

use serde::Serialize;

/// Counts of an erasure: what it unlinked, and what is left of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserErasure {
    /// Number of accounts that were unlinked.
    pub accounts_unlinked: u64,
    /// Revocations of the user's grants that are not finished, also of before. They have the platform's ids and the encrypted tokens.
    pub pending_revocations: u64,
    /// Rows of the audit log that an earlier release wrote: what they have in clear text is part of their MAC, and stays.
    pub clear_audit_rows: u64,
}
