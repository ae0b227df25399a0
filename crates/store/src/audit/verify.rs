//! Whether a chain is as it was written: the first row that is not.

use std::collections::BTreeMap;

use super::{Audit, AuditRow, ChainHead};
use crate::StoreError;
use crate::vault::AuditKeys;

/// Walks a user's chain and says how many rows it has. `logged` are heads of this user that the log has kept, of any age.
///
/// # Errors
/// [`VerifyError::Broken`] names the first row that is not as it was written.
pub async fn verify_audit(
    audit: &dyn Audit,
    keys: &AuditKeys,
    user: &str,
    logged: &[ChainHead],
) -> Result<u64, VerifyError> {
    let tip = audit.audit_tip(user).await?;
    let mut walk = Walk::new(keys, user, tip.head, logged);
    let mut rows = 0;
    // Rows may have any number when they were not written by us.
    let mut after = i64::MIN;
    while let Some(last) = tip.last.filter(|last| after < *last) {
        let page = audit.audit_rows(user, after, last, PAGE).await?;
        let Some(end) = page.last() else { break };
        after = end.seq;
        for row in &page {
            walk.step(row)?;
            rows += 1;
        }
    }
    walk.finish()?;
    Ok(rows)
}

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// Why a chain could not be found whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not.
    #[error(transparent)]
    Broken(#[from] InvalidAuditRow),
    /// It could not be read.
    #[error("read the audit log")]
    Store(#[from] StoreError),
}

/// The first row of a chain that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user {user:?}, row {seq}: {fault}")]
pub struct InvalidAuditRow {
    /// Whose chain.
    pub user: String,
    /// Which row.
    pub seq: i64,
    /// What is wrong with it.
    pub fault: AuditRowFault,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditRowFault {
    /// There is none of this number, and there was.
    #[error("it is missing")]
    Missing,
    /// Its number is below the one that must come.
    #[error("its number is not the next")]
    OutOfOrder,
    /// A form that this build does not know.
    #[error("it has an unknown form")]
    UnknownForm,
    /// Its MAC cannot be checked.
    #[error("its key is not among POSTERN_VAULT_KEYS")]
    UnknownKey,
    /// Its MAC is not that of its content after the row before.
    #[error("it was altered")]
    Altered,
    /// It is whole, and the head ends before it.
    #[error("it lies beyond the head of the chain")]
    BeyondHead,
    /// It is whole, and the head of the same number has another MAC.
    #[error("it is not the row that the head of the chain names")]
    NotTheHead,
    /// It is whole, and the log has kept another MAC of the same number.
    #[error("it is not the row that was logged")]
    NotAsLogged,
}

/// A walk along a chain: what was met so far, and what must still be.
struct Walk<'a> {
    keys: &'a AuditKeys,
    /// The last row that was whole.
    at: ChainHead,
    head: ChainHead,
    logged: BTreeMap<i64, Vec<&'a [u8]>>,
}

impl<'a> Walk<'a> {
    fn new(keys: &'a AuditKeys, user: &str, head: Option<ChainHead>, heads: &'a [ChainHead]) -> Self {
        let start = ChainHead {
            user: user.to_owned(),
            seq: 0,
            mac: Vec::new(),
        };
        let mut logged: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for head in heads {
            logged.entry(head.seq).or_default().push(head.mac.as_slice());
        }
        Self {
            keys,
            head: head.unwrap_or_else(|| start.clone()),
            at: start,
            logged,
        }
    }

    /// The next row.
    fn step(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        let next = self.at.seq + 1;
        if row.seq > next {
            return Err(self.broken(next, AuditRowFault::Missing));
        }
        self.fault(row, next)
            .map_or(Ok(()), |fault| Err(self.broken(row.seq, fault)))?;
        self.at = row.head();
        Ok(())
    }

    fn fault(&self, row: &AuditRow, next: i64) -> Option<AuditRowFault> {
        if row.seq < next {
            return Some(AuditRowFault::OutOfOrder);
        }
        if row.v != super::chain::FORM {
            return Some(AuditRowFault::UnknownForm);
        }
        match self.keys.check(&row.key, &row.message(&self.at.mac), &row.mac) {
            None => return Some(AuditRowFault::UnknownKey),
            Some(false) => return Some(AuditRowFault::Altered),
            Some(true) => {}
        }
        let logged = self.logged.get(&row.seq).map_or(&[][..], Vec::as_slice);
        if logged.iter().any(|mac| *mac != row.mac) {
            return Some(AuditRowFault::NotAsLogged);
        }
        (row.seq > self.head.seq).then_some(AuditRowFault::BeyondHead)
    }

    /// There are no more rows.
    fn finish(self) -> Result<(), InvalidAuditRow> {
        let logged = self.logged.last_key_value().map_or(0, |(seq, _)| *seq);
        if self.at.seq < self.head.seq.max(logged) {
            return Err(self.broken(self.at.seq + 1, AuditRowFault::Missing));
        }
        if self.at.mac != self.head.mac {
            return Err(self.broken(self.at.seq, AuditRowFault::NotTheHead));
        }
        Ok(())
    }

    fn broken(&self, seq: i64, fault: AuditRowFault) -> InvalidAuditRow {
        InvalidAuditRow {
            user: self.at.user.clone(),
            seq,
            fault,
        }
    }
}

#[cfg(test)]
mod tests;
