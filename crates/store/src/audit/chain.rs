//! Rows of the hash chain: how each follows from the head before it.

use super::{AuditRow, ChainHead, Entry};
use crate::answers::Receipt;
use crate::vault::AuditKeys;

/// Builds the row that follows a head, or the first row if there is none.
pub(crate) fn extend(
    keys: &AuditKeys,
    head: Option<&ChainHead>,
    chain: &str,
    at: i64,
    entry: Entry,
    receipt: &Receipt,
) -> AuditRow {
    let keys = keys.current();
    let origin = receipt.origin.as_ref();
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
    };
    row.mac = keys.sign(&row.message(head.map_or(&[], |head| &head.mac))).to_vec();
    row
}

impl AuditRow {
    /// Head of a chain that ends with this row.
    pub(crate) fn head(&self) -> ChainHead {
        ChainHead {
            user: self.user.clone(),
            seq: self.seq,
            mac: self.mac.clone(),
        }
    }

    /// Message that the MAC authenticates: each part preceded by its length, so that different rows never have the same encoding.
    /// The last part is the MAC of the row before, empty for the first row.
    pub(super) fn message(&self, before: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        for part in [
            self.v.to_be_bytes().as_slice(),
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
            before,
        ] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        message
    }
}

/// Chain of the rows that concern no user: commands of operators. No user has this id, as it is not ASCII.
pub(crate) const OPERATORS: &str = "\u{a7}operators";

/// Version of the encoding that is written.
pub(super) const VERSION: i16 = 2;
