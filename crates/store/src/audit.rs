//! Audit log: security events of each user, in a hash chain that reveals later changes.
//!
//! Each row carries an HMAC of itself and of the HMAC of the row before. The transactions of the other roles append rows in the
//! commit of the change that they record, so no change goes unrecorded.

mod archive;
mod chain;
mod checkpoint;
mod entry;
mod fault;
mod filter;
mod personal;
mod segment;
mod verify;

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::RefusedCommand;
use protocol::id::UserId;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::accounts::WriteOutcome;
use crate::answers::Receipt;
use crate::vault::Ciphertext;

pub use self::archive::{ArchiveManifest, ManifestFault};
pub(crate) use self::chain::{ChainEnd, NewAuditRow, OPERATORS, extend};
pub use self::checkpoint::{AuditCheckpoint, checkpoint_before};
pub use self::entry::AuditEvent;
pub(crate) use self::entry::Entry;
pub use self::fault::{AuditRowFault, InvalidAuditRow};
pub use self::filter::{AuditFilter, AuditFound};
pub use self::personal::{ERASED, PersonalData, PersonalDataError};
pub use self::segment::SegmentVerifier;
pub use self::verify::{VerifyError, verify_audit};
pub use protocol::audit::AuditAction;

/// Reads and appends that concern the audit log alone. A reader trusts nothing: texts are returned as the rows have them.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends refusals of a user's commands, which were counted where the gateway refused them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record_refusals(
        &self,
        user: &UserId,
        refused: &[RefusedCommand],
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError>;

    /// Records that a confirmation of a command was issued.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record_confirmation(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError>;

    /// Next user, in byte order of the id, with a row, a head or a checkpoint; without an argument, the first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn next_audited_user(&self, user: Option<&str>) -> Result<Option<String>, StoreError>;

    /// Head, first and last row number of a user's chain, read at one instant.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_tip(&self, user: &str) -> Result<ChainTip, StoreError>;

    /// Checkpoints of a user's chain, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_checkpoints(&self, user: &str) -> Result<Vec<AuditCheckpoint>, StoreError>;

    /// Rows of a user with numbers in `(after, up_to]`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_rows(&self, user: &str, after: i64, up_to: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Newest rows of a user that meet the filter, with their personal data. The read is recorded in the user's chain, or in that of
    /// operators if the user is unknown. It examines a bounded number of rows, however few of them meet the filter.
    ///
    /// # Errors
    /// [`StoreError`]; what is not recorded is not read.
    async fn read_audit(
        &self,
        user: &UserId,
        filter: &AuditFilter,
        receipt: &Receipt,
    ) -> Result<AuditFound, StoreError>;

    /// Heads that changed since they were last logged, of the next users as in [`Audit::next_audited_user`], at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn unlogged_heads(&self, user: Option<&str>, limit: usize) -> Result<Vec<ChainHead>, StoreError>;

    /// Time until the last partition of the log ends, zero once it has ended; none where it has none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_partitions_left(&self) -> Result<Option<Duration>, StoreError>;

    /// Marks these heads as logged.
    ///
    /// # Errors
    /// [`StoreError`]; the heads are then logged again.
    async fn mark_heads_logged(&self, heads: &[ChainHead]) -> Result<(), StoreError>;
}

/// Row of the audit log, as stored: since version 3 `subject`, `address` and `device` are empty where [`AuditRow::personal`] has them, and
/// [`AuditRow::personal_data`] decrypts them. Its serialized form, with all fields, is that of exports: a chain is verified from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// User of the chain, or `§operators`.
    pub user: String,
    /// Number in the chain, from 1.
    pub seq: i64,
    /// Version of the encoding that the MAC authenticates.
    pub v: i16,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Name of an [`AuditAction`].
    pub action: String,
    /// Subject of the action: `github 583231`, or a command's event.
    pub subject: String,
    /// `ok`, or an error code.
    pub result: String,
    /// Number of equal actions that this row stands for.
    pub count: i64,
    /// Session.
    pub session: String,
    /// Socket.
    pub connection: String,
    /// Client address; empty if unknown.
    pub address: String,
    /// Device name; empty if unknown.
    pub device: String,
    /// Job id, as in the log.
    pub job: String,
    /// Trace id of the job, as in the log.
    pub trace: String,
    /// Id of the vault key from which the MAC's key is derived.
    pub key: String,
    /// HMAC-SHA-256 of all fields above, the commitment to the personal data, and the MAC of the row before.
    #[serde(with = "hexadecimal")]
    pub mac: Vec<u8>,
    /// Personal data, encrypted under the user's key, behind the id of this key and the commitment to the data.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal::optional")]
    pub personal: Option<Vec<u8>>,
    /// Key of the user, encrypted, as it is stored now: no part of the row.
    #[serde(skip)]
    pub user_key: Option<Ciphertext>,
}

/// Head of a chain: number and MAC of its last row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// User of the chain.
    pub user: String,
    /// Number of the last row.
    pub seq: i64,
    /// MAC of the last row.
    #[serde(with = "hexadecimal")]
    pub mac: Vec<u8>,
    /// Number of the row of the user's last erasure, if there is one. Only heads that are logged have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<i64>,
}

/// Stored head, and lowest and highest row number of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainTip {
    /// The stored head, if any.
    pub head: Option<ChainHead>,
    /// The lowest number among the rows, if there are any.
    pub first: Option<i64>,
    /// The highest number among the rows, if there are any.
    pub last: Option<i64>,
}

/// Serde format of bytes: hexadecimal digits.
mod hexadecimal {
    use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        bytes.map_err(|_invalid| D::Error::custom("not hexadecimal digits"))
    }

    /// The same for bytes that a row may lack.
    pub(super) mod optional {
        use serde::{Deserializer, Serializer};

        pub(in crate::audit) fn serialize<S: Serializer>(
            bytes: &Option<Vec<u8>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match bytes {
                Some(bytes) => super::serialize(bytes, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}
