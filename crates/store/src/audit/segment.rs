//! Verification of consecutive rows of a chain, in the database or in an archive.

use super::chain::VERSIONS;
use super::{AuditCheckpoint, AuditRow, AuditRowFault, ChainHead, InvalidAuditRow};
use crate::vault::AuditKeys;

/// Verifier of consecutive rows, from the begin of a chain or from a checkpoint.
#[derive(Debug)]
pub struct SegmentVerifier<'a> {
    keys: &'a AuditKeys,
    /// Head at the last valid row.
    end: ChainHead,
}

impl<'a> SegmentVerifier<'a> {
    /// Starts after the row of a checkpoint, or with the first row of the chain.
    #[must_use]
    pub fn new(keys: &'a AuditKeys, user: &str, base: Option<&AuditCheckpoint>) -> Self {
        let start = || ChainHead {
            user: user.to_owned(),
            seq: 0,
            mac: Vec::new(),
            erased: None,
        };
        Self {
            keys,
            end: base.map_or_else(start, AuditCheckpoint::head),
        }
    }

    /// Verifies the next row.
    ///
    /// # Errors
    /// [`InvalidAuditRow`], of this row or of a missing one before it.
    pub fn step(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        let next = self.end.seq + 1;
        if row.seq > next {
            return Err(self.broken(next, AuditRowFault::Missing));
        }
        if let Some(fault) = self.fault(row, next) {
            return Err(self.broken(row.seq, fault));
        }
        self.end = row.head();
        Ok(())
    }

    /// Head of a chain that ends with the last valid row.
    #[must_use]
    pub fn end(&self) -> &ChainHead {
        &self.end
    }

    pub(super) fn keys(&self) -> &'a AuditKeys {
        self.keys
    }

    /// Fault of a row of this chain.
    pub(super) fn broken(&self, seq: i64, fault: AuditRowFault) -> InvalidAuditRow {
        InvalidAuditRow {
            user: self.end.user.clone(),
            seq,
            fault,
        }
    }

    fn fault(&self, row: &AuditRow, next: i64) -> Option<AuditRowFault> {
        if row.seq < next {
            return Some(AuditRowFault::OutOfSequence);
        }
        if !VERSIONS.contains(&row.v) {
            return Some(AuditRowFault::UnknownVersion);
        }
        let keys = self.keys.current();
        match keys.check(&row.key, &row.message(&self.end.mac), &row.mac) {
            None => Some(AuditRowFault::UnknownKey),
            Some(false) => Some(AuditRowFault::Altered),
            Some(true) => None,
        }
    }
}
