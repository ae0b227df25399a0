//! Entry of a lane, as `submit_job.lua` writes it.

use bytes::Bytes;
use protocol::time::Timestamp;

use crate::redis::client::RedisReply;
use crate::{BusError, EntryId};

/// Queued job with its entry id and deadline.
pub(super) struct LaneEntry {
    pub(super) id: EntryId,
    /// Deadline by the server's clock, in ms since 1970.
    pub(super) deadline: u64,
    pub(super) job: Bytes,
}

impl LaneEntry {
    /// Time at which the job was queued, by the server's clock: the first part of an entry's id.
    pub(super) fn queued(&self) -> Option<Timestamp> {
        self.id.0.split('-').next()?.parse().ok().map(Timestamp::from_millis)
    }

    /// Decodes all entries of a reply: each is its id and the fields `id`, `deadline` and `job` with their names.
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
