//! Checkpoints of a chain: after its oldest rows were archived and dropped, the verification starts from the newest checkpoint.

use protocol::time::Timestamp;

use super::chain::joined;
use super::{AuditRowFault, ChainHead, InvalidAuditRow};
use crate::vault::AuditKeys;

/// Last archived row of a chain, signed together with the checkpoint before. Without a key of the vault no one can write one, and one that
/// was taken away leaves a chain whose rows are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// User of the chain.
    pub user: String,
    /// End of the archived times, exclusive, in milliseconds since 1970: that of the partition.
    pub before: i64,
    /// Number of the last archived row.
    pub seq: i64,
    /// MAC of that row.
    pub mac: Vec<u8>,
    /// Id of the vault key from which the signature's key is derived.
    pub key: String,
    /// HMAC-SHA-256 of all fields above and the signature of the checkpoint before.
    pub signature: Vec<u8>,
}

impl AuditCheckpoint {
    /// Signs the end of an archived range with the first key.
    #[must_use]
    pub fn sign(keys: &AuditKeys, end: &ChainHead, before: i64, previous: Option<&Self>) -> Self {
        let keys = keys.current();
        let mut checkpoint = Self {
            user: end.user.clone(),
            before,
            seq: end.seq,
            mac: end.mac.clone(),
            key: keys.id().to_owned(),
            signature: Vec::new(),
        };
        checkpoint.signature = keys.sign(&checkpoint.message(previous)).to_vec();
        checkpoint
    }

    /// Verifies the signature, which covers the checkpoint before.
    ///
    /// # Errors
    /// [`InvalidAuditRow`], with the number of the checkpoint's row.
    pub fn verify(&self, keys: &AuditKeys, previous: Option<&Self>) -> Result<(), InvalidAuditRow> {
        let fault = match keys
            .current()
            .check(&self.key, &self.message(previous), &self.signature)
        {
            Some(true) => return Ok(()),
            Some(false) => AuditRowFault::InvalidCheckpoint,
            None => AuditRowFault::UnknownCheckpointKey,
        };
        Err(self.fault(fault))
    }

    /// Verifies the signatures of a chain's checkpoints, all of them from the first on.
    ///
    /// # Errors
    /// [`InvalidAuditRow`], of the first one that is not valid.
    pub fn verify_all(keys: &AuditKeys, checkpoints: &[Self]) -> Result<(), InvalidAuditRow> {
        let mut previous = None;
        for checkpoint in checkpoints {
            checkpoint.verify(keys, previous)?;
            previous = Some(checkpoint);
        }
        Ok(())
    }

    /// Fault at this checkpoint.
    #[must_use]
    pub fn fault(&self, fault: AuditRowFault) -> InvalidAuditRow {
        InvalidAuditRow {
            user: self.user.clone(),
            seq: self.seq,
            fault,
        }
    }

    /// Head of a chain that ends with the checkpoint's row.
    pub(super) fn head(&self) -> ChainHead {
        ChainHead {
            user: self.user.clone(),
            seq: self.seq,
            mac: self.mac.clone(),
            erased: None,
        }
    }

    /// Message of the signature. Its first part is longer than that of a row's message, so that neither is one of the other.
    fn message(&self, previous: Option<&Self>) -> Vec<u8> {
        joined([
            LABEL,
            self.user.as_bytes(),
            &self.before.to_be_bytes(),
            &self.seq.to_be_bytes(),
            &self.mac,
            self.key.as_bytes(),
            previous.map_or(&[], |previous| &previous.signature),
        ])
    }
}

/// Newest of a chain's checkpoints that is of an older partition than the one with this end.
#[must_use]
pub fn checkpoint_before(checkpoints: &[AuditCheckpoint], before: Timestamp) -> Option<&AuditCheckpoint> {
    checkpoints
        .iter()
        .rfind(|checkpoint| checkpoint.before < before.as_millis())
}

const LABEL: &[u8] = b"audit checkpoint 1";

#[cfg(test)]
mod tests {
    use protocol::secret::Secret;

    use super::*;
    use crate::vault::VaultKeys;

    fn keys(list: &str) -> AuditKeys {
        VaultKeys::parse(&Secret::new(list)).unwrap().audit_keys()
    }

    fn end(seq: i64) -> ChainHead {
        ChainHead {
            user: "GEN-001".to_owned(),
            seq,
            mac: vec![7; 32],
            erased: None,
        }
    }

    #[test]
    fn signature_covers_every_field_and_the_checkpoint_before() {
        let keys = keys("2026-11:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        let first = AuditCheckpoint::sign(&keys, &end(3), 1_000, None);
        let second = AuditCheckpoint::sign(&keys, &end(9), 2_000, Some(&first));
        assert_eq!(first.verify(&keys, None), Ok(()));
        assert_eq!(second.verify(&keys, Some(&first)), Ok(()));
        for altered in [
            AuditCheckpoint {
                user: "GEN-002".to_owned(),
                ..second.clone()
            },
            AuditCheckpoint {
                before: 2_001,
                ..second.clone()
            },
            AuditCheckpoint {
                seq: 8,
                ..second.clone()
            },
            AuditCheckpoint {
                mac: vec![8; 32],
                ..second.clone()
            },
            AuditCheckpoint {
                signature: first.signature.clone(),
                ..second.clone()
            },
        ] {
            let fault = altered.verify(&keys, Some(&first)).unwrap_err().fault;
            assert_eq!(fault, AuditRowFault::InvalidCheckpoint, "{altered:?}");
        }
        let without = second.verify(&keys, None).unwrap_err().fault;
        assert_eq!(without, AuditRowFault::InvalidCheckpoint);
        let other = AuditCheckpoint {
            key: "2025".to_owned(),
            ..second
        };
        let fault = other.verify(&keys, Some(&first)).unwrap_err().fault;
        assert_eq!(fault, AuditRowFault::UnknownCheckpointKey);
    }

    #[test]
    fn signature_of_another_key_is_refused() {
        let theirs = keys("2026-11:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA");
        let forged = AuditCheckpoint::sign(&theirs, &end(3), 1_000, None);
        let keys = keys("2026-11:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        let fault = forged.verify(&keys, None).unwrap_err().fault;
        assert_eq!(fault, AuditRowFault::InvalidCheckpoint);
    }
}
