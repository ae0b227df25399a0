//! Verification of a chain: finds the first row that is not as it was written.

use std::collections::BTreeMap;

use super::segment::SegmentVerifier;
use super::{
    Audit, AuditAction, AuditCheckpoint, AuditRow, AuditRowFault, ChainHead, ChainTip, InvalidAuditRow,
    PersonalDataError,
};
use crate::StoreError;
use crate::vault::AuditKeys;

/// Verifies a user's chain, from its newest checkpoint with a row after it, and returns its number of rows. `logged` are heads of this user
/// from the log, of any age; those of archived rows are not compared.
///
/// # Errors
/// [`VerifyError::Broken`] names the first row that is not as it was written.
pub async fn verify_audit(
    audit: &dyn Audit,
    keys: &AuditKeys,
    user: &str,
    logged: &[ChainHead],
) -> Result<u64, VerifyError> {
    let mut extent = ChainExtent::read(audit, user).await?;
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match verify_extent(audit, keys, user, logged, &extent).await {
            Err(VerifyError::Broken(broken)) if attempts > 0 => {
                let later = ChainExtent::read(audit, user).await?;
                if !later.explains(&broken, &extent) {
                    return Err(broken.into());
                }
                extent = later;
            }
            verified => return verified,
        }
    }
}

/// Extent of a chain in the database.
struct ChainExtent {
    /// Read before the tip: rows are dropped after their checkpoint is written.
    checkpoints: Vec<AuditCheckpoint>,
    tip: ChainTip,
}

impl ChainExtent {
    async fn read(audit: &dyn Audit, user: &str) -> Result<Self, StoreError> {
        Ok(Self {
            checkpoints: audit.audit_checkpoints(user).await?,
            tip: audit.audit_tip(user).await?,
        })
    }

    /// Reports whether a fault may be due to a change since `before`: rows were archived and dropped, or the user was erased, which the
    /// row beyond the earlier tip records.
    fn explains(&self, broken: &InvalidAuditRow, before: &Self) -> bool {
        self.checkpoints != before.checkpoints
            || self.tip.first != before.tip.first
            || broken.fault == AuditRowFault::NoUserKey && self.tip != before.tip
    }
}

async fn verify_extent(
    audit: &dyn Audit,
    keys: &AuditKeys,
    user: &str,
    logged: &[ChainHead],
    ChainExtent { checkpoints, tip }: &ChainExtent,
) -> Result<u64, VerifyError> {
    AuditCheckpoint::verify_all(keys, checkpoints)?;
    compare_with_logged(checkpoints, logged)?;
    // Rows that were not dropped yet are verified too.
    let has_row_after = |checkpoint: &&AuditCheckpoint| tip.first.is_none_or(|first| checkpoint.seq < first);
    let base = checkpoints.iter().rfind(has_row_after);
    let mut verifier = ChainVerifier::new(keys, user, tip.head.clone(), logged).starting_at(base, checkpoints);
    let mut rows = 0;
    // Rows that Postern did not write may have any number.
    let mut after = i64::MIN;
    while let Some(last) = tip.last.filter(|last| after < *last) {
        let page = audit.audit_rows(user, after, last, PAGE).await?;
        let Some(end) = page.last() else { break };
        after = end.seq;
        for row in &page {
            verifier.step(row)?;
            rows += 1;
        }
    }
    verifier.finish()?;
    Ok(rows)
}

/// Verifies that the rows of checkpoints are those that were logged.
fn compare_with_logged(checkpoints: &[AuditCheckpoint], logged: &[ChainHead]) -> Result<(), InvalidAuditRow> {
    for checkpoint in checkpoints {
        let is_other = |head: &ChainHead| head.seq == checkpoint.seq && head.mac != checkpoint.mac;
        if logged.iter().any(is_other) {
            return Err(checkpoint.fault(AuditRowFault::NotAsLogged));
        }
    }
    Ok(())
}

/// Attempts at a chain that changes meanwhile.
const ATTEMPTS: u32 = 3;

/// Rows per query.
const PAGE: usize = 1_000;

/// Error of a verification.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The chain is not as it was written.
    #[error(transparent)]
    Broken(#[from] InvalidAuditRow),
    /// The chain could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// State of a verification: the rows verified so far and the heads that remain.
struct ChainVerifier<'a> {
    rows: SegmentVerifier<'a>,
    head: ChainHead,
    /// MACs of rows with a checkpoint.
    checkpoints: BTreeMap<i64, &'a [u8]>,
    logged: BTreeMap<i64, Vec<&'a [u8]>>,
    personal: PersonalRows,
}

/// First rows with personal data since the last erasure.
#[derive(Default)]
struct PersonalRows {
    readable: Option<i64>,
    erased: Option<i64>,
}

impl<'a> ChainVerifier<'a> {
    fn new(keys: &'a AuditKeys, user: &str, head: Option<ChainHead>, heads: &'a [ChainHead]) -> Self {
        let rows = SegmentVerifier::new(keys, user, None);
        let mut logged: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for head in heads {
            logged.entry(head.seq).or_default().push(head.mac.as_slice());
        }
        Self {
            head: head.unwrap_or_else(|| rows.end().clone()),
            rows,
            checkpoints: BTreeMap::new(),
            logged,
            personal: PersonalRows::default(),
        }
    }

    /// Starts after the row of a checkpoint, if the chain has one; rows with another checkpoint are compared with it.
    fn starting_at(self, base: Option<&AuditCheckpoint>, checkpoints: &'a [AuditCheckpoint]) -> Self {
        let keys = self.rows.keys();
        let rows = SegmentVerifier::new(keys, &self.rows.end().user, base);
        Self {
            rows,
            checkpoints: checkpoints
                .iter()
                .map(|checkpoint| (checkpoint.seq, checkpoint.mac.as_slice()))
                .collect(),
            ..self
        }
    }

    /// Verifies the next row.
    fn step(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        self.rows.step(row)?;
        if let Some(fault) = self.fault(row) {
            return Err(self.rows.broken(row.seq, fault));
        }
        self.step_personal_data(row)
    }

    /// Verifies the personal data of a valid row: it is what the row is committed to, or was erased, which a later row records.
    fn step_personal_data(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        if row.action == AuditAction::UserErased.as_str() {
            let before = std::mem::take(&mut self.personal);
            return before
                .readable
                .map_or(Ok(()), |seq| Err(self.rows.broken(seq, AuditRowFault::NotErased)));
        }
        if row.personal.is_none() {
            return Ok(());
        }
        let first = match row.personal_data(self.rows.keys()) {
            Ok(_) => &mut self.personal.readable,
            Err(PersonalDataError::Erased) => &mut self.personal.erased,
            Err(PersonalDataError::UnknownKey) => return Err(self.rows.broken(row.seq, AuditRowFault::UnknownKey)),
            Err(PersonalDataError::Altered) => return Err(self.rows.broken(row.seq, AuditRowFault::Altered)),
        };
        first.get_or_insert(row.seq);
        Ok(())
    }

    fn fault(&self, row: &AuditRow) -> Option<AuditRowFault> {
        let logged = self.logged.get(&row.seq).map_or(&[][..], Vec::as_slice);
        if logged.iter().any(|mac| *mac != row.mac) {
            return Some(AuditRowFault::NotAsLogged);
        }
        if self.checkpoints.get(&row.seq).is_some_and(|mac| *mac != row.mac) {
            return Some(AuditRowFault::NotAsCheckpoint);
        }
        (row.seq > self.head.seq).then_some(AuditRowFault::BeyondHead)
    }

    /// Verifies that the chain ends where its head and the logged heads say.
    fn finish(self) -> Result<(), InvalidAuditRow> {
        let logged = self.logged.last_key_value().map_or(0, |(seq, _)| *seq);
        let end = self.rows.end();
        if end.seq < self.head.seq.max(logged) {
            return Err(self.rows.broken(end.seq + 1, AuditRowFault::Missing));
        }
        // Without a row after it, this is the row of the newest checkpoint.
        if end.seq > self.head.seq {
            return Err(self.rows.broken(end.seq, AuditRowFault::BeyondHead));
        }
        if end.mac != self.head.mac {
            return Err(self.rows.broken(end.seq, AuditRowFault::NotTheHead));
        }
        match self.personal.erased {
            Some(seq) => Err(self.rows.broken(seq, AuditRowFault::NoUserKey)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
