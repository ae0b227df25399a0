//! Rows of the hash chain: how each follows from the head before it.

use super::{AuditRow, ChainHead, Entry};
use crate::answers::Receipt;
use crate::vault::{AuditKeys, Ciphertext, VaultError, commitment};

/// End of a chain, as the next row needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChainEnd {
    /// Head; none if the chain has no row.
    pub(crate) head: Option<ChainHead>,
    /// Stored key of the user; none if the user has none.
    pub(crate) user_key: Option<Ciphertext>,
}

/// Row to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAuditRow {
    pub(crate) row: AuditRow,
    /// Key of the user that is to be stored with it, if the user has none yet.
    pub(crate) new_key: Option<Ciphertext>,
}

/// Builds the row that follows the end of a chain. Its personal data is encrypted with the key of the chain's user, which is drawn if the
/// user has none.
///
/// # Errors
/// [`VaultError`] of the user's key.
pub(crate) fn extend(
    keys: &AuditKeys,
    end: &ChainEnd,
    chain: &str,
    at: i64,
    entry: Entry,
    receipt: &Receipt,
) -> Result<NewAuditRow, VaultError> {
    let keys = keys.current();
    let head = end.head.as_ref();
    let origin = receipt.origin.as_ref();
    let is_subject_personal = entry.is_subject_personal();
    let mut row = AuditRow {
        user: chain.to_owned(),
        seq: head.map_or(0, |head| head.seq) + 1,
        v: VERSION,
        at,
        action: entry.action.to_string(),
        subject: entry.subject,
        result: entry.result.to_owned(),
        count: entry.count.into(),
        session: receipt.actor.name().to_string(),
        connection: receipt.connection.to_string(),
        address: origin.map_or_else(String::new, |origin| origin.address.clone()),
        device: origin.map_or_else(String::new, |origin| origin.device().to_owned()),
        job: receipt.job.to_string(),
        trace: receipt.traceparent.trace_id(),
        key: keys.id().to_owned(),
        mac: Vec::new(),
        personal: None,
        user_key: end.user_key.clone(),
    };
    let mut new_key = None;
    // The chain of operators is about no person.
    if chain != OPERATORS && (is_subject_personal || origin.is_some()) {
        let user_key = match &end.user_key {
            Some(stored) => keys.user_key(chain, stored)?,
            None => {
                let (user_key, stored) = keys.new_user_key(chain);
                row.user_key = Some(stored.clone());
                new_key = Some(stored);
                user_key
            }
        };
        row.protect(&user_key, is_subject_personal);
    }
    row.mac = keys.sign(&row.message(head.map_or(&[], |head| &head.mac))).to_vec();
    Ok(NewAuditRow { row, new_key })
}

impl ChainEnd {
    /// Advances to this row.
    pub(crate) fn advance(&mut self, new: &NewAuditRow) {
        self.head = Some(new.row.head());
        self.user_key.clone_from(&new.row.user_key);
    }
}

impl AuditRow {
    /// Head of a chain that ends with this row.
    #[must_use]
    pub fn head(&self) -> ChainHead {
        ChainHead {
            user: self.user.clone(),
            seq: self.seq,
            mac: self.mac.clone(),
            erased: None,
        }
    }

    /// Message that the MAC authenticates: each part preceded by its length, so that different rows never have the same encoding.
    /// The last part is the MAC of the row before, empty for the first row. Since version 3 the part before it is the commitment to the
    /// personal data, empty without any.
    pub(super) fn message(&self, before: &[u8]) -> Vec<u8> {
        let without = (self.v >= VERSION_WITH_COMMITMENT).then_some(&[][..]);
        let committed = self.personal.as_deref().map(commitment).or(without);
        let parts: [&[u8]; 15] = [
            &self.v.to_be_bytes(),
            self.user.as_bytes(),
            &self.seq.to_be_bytes(),
            &self.at.to_be_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            self.result.as_bytes(),
            &self.count.to_be_bytes(),
            self.session.as_bytes(),
            self.connection.as_bytes(),
            self.address.as_bytes(),
            self.device.as_bytes(),
            self.job.as_bytes(),
            self.trace.as_bytes(),
            self.key.as_bytes(),
        ];
        joined(parts.into_iter().chain(committed).chain([before]))
    }
}

/// Message of parts, each preceded by its length.
pub(super) fn joined<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// Chain of the rows that concern no user: commands of operators. No user has this id, as it is not ASCII.
pub(crate) const OPERATORS: &str = "\u{a7}operators";

/// Version of the encoding that is written.
const VERSION: i16 = VERSION_WITH_COMMITMENT;

/// Version from which on personal data is encrypted.
const VERSION_WITH_COMMITMENT: i16 = 3;

/// Versions that are verified: of those before, rows had no address, device and trace, and no release has written any.
pub(super) const VERSIONS: std::ops::RangeInclusive<i16> = 2..=VERSION;

#[cfg(test)]
mod tests;
