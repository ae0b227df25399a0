//! Faults of rows that are not as they were written.

/// The first row of a chain that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user {user:?}, row {seq}: {fault}")]
pub struct InvalidAuditRow {
    /// User of the chain.
    pub user: String,
    /// Number of the row.
    pub seq: i64,
    /// Fault of the row.
    pub fault: AuditRowFault,
}

/// Fault of an audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditRowFault {
    /// No row has this number, though one was written.
    #[error("it is missing")]
    Missing,
    /// The row's number is lower than the next expected one.
    #[error("its number is not the next")]
    OutOfSequence,
    /// The encoding's version is unknown to this build.
    #[error("it has an unknown version")]
    UnknownVersion,
    /// The key of the row's MAC is unknown.
    #[error("its key is not among POSTERN_VAULT_KEYS")]
    UnknownKey,
    /// The MAC does not match the row's content and the row before.
    #[error("it was altered")]
    Altered,
    /// The row is valid, but the head ends before it.
    #[error("it lies beyond the head of the chain")]
    BeyondHead,
    /// The row is valid, but the head of the same number has another MAC.
    #[error("it is not the row that the head of the chain names")]
    NotTheHead,
    /// The row is valid, but the log has another MAC of the same number.
    #[error("it is not the row that was logged")]
    NotAsLogged,
    /// The key of the user is missing, and no later row records an erasure.
    #[error("its personal data cannot be read, and no later row says that the user was erased")]
    NoUserKey,
    /// The signature of the checkpoint is not valid for it and the checkpoint before.
    #[error("its checkpoint was altered, or the checkpoint before it")]
    InvalidCheckpoint,
    /// The key of the checkpoint's signature is unknown.
    #[error("the key of its checkpoint is not among POSTERN_VAULT_KEYS")]
    UnknownCheckpointKey,
    /// The row is valid, but the checkpoint of the same number has another MAC.
    #[error("it is not the row that its checkpoint names")]
    NotAsCheckpoint,
    /// The checkpoint names a row that the archive does not have.
    #[error("it is missing in the archive")]
    NotInArchive,
    /// An archive has the row, and the chain has no checkpoint of it.
    #[error("it is in an archive, and the checkpoint of it is missing")]
    NoCheckpoint,
    /// A later row records an erasure, and the key of the user is back.
    #[error("its personal data can be read again, though a later row says that the user was erased")]
    NotErased,
}
