//! Entries of the audit log of a user.

use serde::{Deserialize, Serialize};

use super::page::PageRequest;
use crate::time::Timestamp;

/// Selection of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditQuery {
    /// Only entries from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only entries before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only entries with this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The page.
    #[serde(flatten)]
    pub page: PageRequest,
}

/// Page of a user's audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditPage {
    /// The entries, the newest first. A page may have fewer than the caller asked for, or none, and still not be the last.
    pub entries: Vec<AuditEntry>,
    /// Cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Number of the entry in the user's chain, from 1 without a gap.
    pub number: i64,
    /// Time.
    pub at: Timestamp,
    /// Action.
    pub action: String,
    /// Subject of the action; `erased` if it was erased with the user.
    pub subject: String,
    /// `ok`, or an error code.
    pub result: String,
    /// Number of equal actions that the entry stands for.
    pub count: i64,
    /// Session that acted, or `internal API: <name>`, `operator: <name>` or `worker`.
    pub session_id: String,
    /// Socket that acted.
    pub connection_id: String,
    /// IP address; empty if it is unknown or erased.
    pub address: String,
    /// Device; empty if it is unknown or erased.
    pub device: String,
    /// Id of the job, as in the logs.
    pub job_id: String,
    /// Id of the W3C trace.
    pub trace_id: String,
}
