//! Verification of a chain: finds the first row that is not as it was written.

use std::collections::BTreeMap;

use super::chain::VERSIONS;
use super::{Audit, AuditAction, AuditRow, ChainHead, ChainTip, PersonalDataError};
use crate::StoreError;
use crate::vault::AuditKeys;

/// Verifies a user's chain and returns its number of rows. `logged` are heads of this user from the log, of any age.
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
    match verify_up_to(audit, keys, user, logged, &tip).await {
        // A user who is erased meanwhile has the row of it beyond this tip.
        Err(VerifyError::Broken(broken)) if broken.fault == AuditRowFault::NoUserKey => {
            let later = audit.audit_tip(user).await?;
            if later == tip {
                return Err(broken.into());
            }
            verify_up_to(audit, keys, user, logged, &later).await
        }
        verified => verified,
    }
}

async fn verify_up_to(
    audit: &dyn Audit,
    keys: &AuditKeys,
    user: &str,
    logged: &[ChainHead],
    tip: &ChainTip,
) -> Result<u64, VerifyError> {
    let mut verifier = ChainVerifier::new(keys, user, tip.head.clone(), logged);
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
    /// A later row records an erasure, and the key of the user is back.
    #[error("its personal data can be read again, though a later row says that the user was erased")]
    NotErased,
}

/// State of a verification: the rows verified so far and the heads that remain.
struct ChainVerifier<'a> {
    keys: &'a AuditKeys,
    /// Head at the last valid row.
    at: ChainHead,
    head: ChainHead,
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
            personal: PersonalRows::default(),
        }
    }

    /// Verifies the next row.
    fn step(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        let next = self.at.seq + 1;
        if row.seq > next {
            return Err(self.broken(next, AuditRowFault::Missing));
        }
        self.fault(row, next)
            .map_or(Ok(()), |fault| Err(self.broken(row.seq, fault)))?;
        self.at = row.head();
        self.step_personal_data(row)
    }

    /// Verifies the personal data of a valid row: it is what the row is committed to, or was erased, which a later row records.
    fn step_personal_data(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        if row.action == AuditAction::UserErased.as_str() {
            let before = std::mem::take(&mut self.personal);
            return before
                .readable
                .map_or(Ok(()), |seq| Err(self.broken(seq, AuditRowFault::NotErased)));
        }
        if row.personal.is_none() {
            return Ok(());
        }
        let first = match row.personal_data(self.keys) {
            Ok(_) => &mut self.personal.readable,
            Err(PersonalDataError::Erased) => &mut self.personal.erased,
            Err(PersonalDataError::UnknownKey) => return Err(self.broken(row.seq, AuditRowFault::UnknownKey)),
            Err(PersonalDataError::Altered) => return Err(self.broken(row.seq, AuditRowFault::Altered)),
        };
        first.get_or_insert(row.seq);
        Ok(())
    }

    fn fault(&self, row: &AuditRow, next: i64) -> Option<AuditRowFault> {
        if row.seq < next {
            return Some(AuditRowFault::OutOfSequence);
        }
        if !VERSIONS.contains(&row.v) {
            return Some(AuditRowFault::UnknownVersion);
        }
        match self
            .keys
            .current()
            .check(&row.key, &row.message(&self.at.mac), &row.mac)
        {
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

    /// Verifies that the chain ends where its head and the logged heads say.
    fn finish(self) -> Result<(), InvalidAuditRow> {
        let logged = self.logged.last_key_value().map_or(0, |(seq, _)| *seq);
        if self.at.seq < self.head.seq.max(logged) {
            return Err(self.broken(self.at.seq + 1, AuditRowFault::Missing));
        }
        if self.at.mac != self.head.mac {
            return Err(self.broken(self.at.seq, AuditRowFault::NotTheHead));
        }
        match self.personal.erased {
            Some(seq) => Err(self.broken(seq, AuditRowFault::NoUserKey)),
            None => Ok(()),
        }
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
