//! An entry of a lane, as submit.lua writes it.

use bytes::Bytes;

use crate::redis::client::RedisReply;
use crate::{BusError, EntryId};

/// A job on its way: where it is in the lane, until when it is worth doing, and what it is.
pub(super) struct Entry {
    pub(super) id: EntryId,
    /// By the server's clock, in ms since 1970.
    pub(super) deadline: u64,
    pub(super) job: Bytes,
}

impl Entry {
    /// Reads all entries of an answer: each is its id and its fields by name, `id`, `deadline` and `job`.
    pub(super) fn read_all(mut reply: RedisReply) -> Result<Vec<Self>, BusError> {
        let mut entries = Vec::new();
        while !reply.is_empty() {
            let id = EntryId(reply.read()?);
            reply.nth(2);
            let deadline = reply.read()?;
            reply.next();
            let job = reply.bytes()?;
            entries.push(Self { id, deadline, job });
        }
        Ok(entries)
    }
}
