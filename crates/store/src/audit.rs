//! The audit log: what happened to a user's security, in a chain that shows whether it was changed later.
//!
//! Each row carries an HMAC over itself and the HMAC of the row before it. The transactions of the other roles append to it, in
//! the same commit as the change that the row tells of: nothing happens unrecorded.

mod chain;
mod entry;
mod verify;

use async_trait::async_trait;
use protocol::cluster::job::RefusedCommand;
use protocol::id::UserId;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::accounts::WriteOutcome;
use crate::answers::Receipt;

pub(crate) use self::chain::extend;
pub use self::entry::AuditAction;
pub(crate) use self::entry::Entry;
pub use self::verify::{AuditRowFault, InvalidAuditRow, VerifyError, verify_audit};

/// The audit log by itself. Whoever reads it trusts nothing: texts are given as they stand in the rows.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends refusals of a user's commands, which changed nothing and were counted where they were refused.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record_refusals(
        &self,
        user: &UserId,
        refused: &[RefusedCommand],
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError>;

    /// Tells that a confirmation of this command was issued.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record_confirmation(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError>;

    /// The next user, by the bytes of the name, who has a row or a head; after none, the first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn next_audited_user(&self, user: Option<&str>) -> Result<Option<String>, StoreError>;

    /// Where a user's chain ends, at one instant.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_tip(&self, user: &str) -> Result<ChainTip, StoreError>;

    /// A user's rows with numbers within `(after, up_to]`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_rows(&self, user: &str, after: i64, up_to: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Heads that have moved since they were last logged: those of the next users as in [`Audit::next_audited_user`], at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn unlogged_heads(&self, user: Option<&str>, limit: usize) -> Result<Vec<ChainHead>, StoreError>;

    /// These heads were logged.
    ///
    /// # Errors
    /// [`StoreError`]; then they are logged again.
    async fn mark_heads_logged(&self, heads: &[ChainHead]) -> Result<(), StoreError>;
}

/// A row of the audit log, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Whose.
    pub user: String,
    /// Its number in the user's chain, from 1.
    pub seq: i64,
    /// The form of what the MAC is over.
    pub v: i16,
    /// Milliseconds since 1970.
    pub at: i64,
    /// What was done; an [`AuditAction`].
    pub action: String,
    /// What it was done to: `github 583231`, or a command's event.
    pub subject: String,
    /// `ok`, or an error code.
    pub result: String,
    /// How many of the same this row stands for.
    pub count: i64,
    /// In which session.
    pub session: String,
    /// On which socket.
    pub connection: String,
    /// From which address; empty where that is not known.
    pub address: String,
    /// By which device, as it is known; empty where that is not known.
    pub device: String,
    /// By which job; the same name is in the log.
    pub job: String,
    /// The trace that the job was a part of; the same id is in the log.
    pub trace: String,
    /// The vault key that the MAC's key is derived from.
    pub key: String,
    /// HMAC-SHA-256 over all of this and the MAC of the row before.
    pub mac: Vec<u8>,
}

/// Where a chain ends: its last row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Whose.
    pub user: String,
    /// The last row's number.
    pub seq: i64,
    /// The last row's MAC.
    #[serde(with = "hexadecimal")]
    pub mac: Vec<u8>,
}

/// Both ends of what a chain should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainTip {
    /// What the head says; none: there is no head.
    pub head: Option<ChainHead>,
    /// The highest number that a row has; none: there are no rows.
    pub last: Option<i64>,
}

/// A MAC as text.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        bytes.ok_or_else(|| D::Error::custom("these are no hexadecimal digits"))
    }
}
