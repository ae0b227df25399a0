//! Checkpoints of an archived partition: one for each chain in its file.

use std::path::Path;

use protocol::time::Timestamp;
use store::{AuditCheckpoint, AuditRowFault, ChainHead, checkpoint_before};

use super::reader::ArchiveReader;
use super::{ArchiveError, ArchiveRun};

/// Signs and stores the checkpoints of the chains in an archive, from the file as it is on the disk. Those that an interrupted run has stored
/// stay.
///
/// # Errors
/// [`ArchiveError`].
pub(super) async fn store_checkpoints(run: &ArchiveRun<'_>, manifest: &Path) -> Result<(), ArchiveError> {
    ArchiveReader::open(manifest, run.keys)?.check()?;
    let mut reader = ArchiveReader::open(manifest, run.keys)?;
    let before = Timestamp::from_millis(reader.manifest.before);
    let mut ends: Vec<ChainHead> = Vec::new();
    while let Some(row) = reader.next_row()? {
        match ends.last_mut() {
            Some(end) if end.user == row.user => *end = row.head(),
            _ => {
                if ends.len() >= BATCH {
                    store_batch(run, &ends, before).await?;
                    ends.clear();
                }
                ends.push(row.head());
            }
        }
    }
    store_batch(run, &ends, before).await
}

async fn store_batch(run: &ArchiveRun<'_>, ends: &[ChainHead], before: Timestamp) -> Result<(), ArchiveError> {
    let users: Vec<_> = ends.iter().map(|end| end.user.as_str()).collect();
    let stored = run.store.partition_checkpoints(&users, before).await?;
    let mut new = Vec::new();
    for end in ends {
        let checkpoints = stored.get(&end.user).map_or(&[][..], Vec::as_slice);
        AuditCheckpoint::verify_all(run.keys, checkpoints)?;
        match checkpoints.last().filter(|last| last.before == before.as_millis()) {
            Some(own) if own.seq == end.seq && own.mac == end.mac => {}
            Some(own) => return Err(own.fault(AuditRowFault::NotAsCheckpoint).into()),
            None => {
                let base = checkpoint_before(checkpoints, before);
                new.push(AuditCheckpoint::sign(run.keys, end, before.as_millis(), base));
            }
        }
    }
    run.store.store_audit_checkpoints(&new).await?;
    Ok(())
}

/// Chains of a batch.
const BATCH: usize = 1_000;
