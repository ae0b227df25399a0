//! Export of a partition: its rows in the order of the chains, verified from the checkpoint before.

use std::path::PathBuf;

use store::{
    ArchiveManifest, Audit as _, AuditCheckpoint, AuditPartition, AuditPosition, AuditRow, SegmentVerifier,
    checkpoint_before,
};

use super::file::ArchiveWriter;
use super::{ArchiveError, ArchiveRun};
use crate::audit::ocsf;

/// Exported partition.
pub(super) struct Exported {
    /// Manifest with its path; none if the partition has no rows.
    pub(super) manifest: Option<(PathBuf, ArchiveManifest)>,
    /// Rows of other partitions among the exported ones: their time is earlier than that of a row before them, or later than that of a row
    /// after them, as the server's clock was set back.
    pub(super) moved: Vec<AuditPosition>,
}

/// Exports a partition.
///
/// # Errors
/// [`ArchiveError`]; among them the first broken row.
pub(super) async fn export(run: &ArchiveRun<'_>, partition: &AuditPartition) -> Result<Exported, ArchiveError> {
    let mut export = PartitionExport {
        run,
        file: ArchiveWriter::create(run.to, partition.before)?,
        chain: None,
        moved: Vec::new(),
    };
    let mut after = AuditPosition::start();
    loop {
        let rows = run.store.audit_partition_page(partition, &after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = AuditPosition {
            user: last.user.clone(),
            seq: last.seq,
        };
        let mut users: Vec<_> = rows.iter().map(|row| row.user.as_str()).collect();
        users.dedup();
        let checkpoints = run.store.partition_checkpoints(&users, partition.before).await?;
        for row in rows.iter() {
            let of_user = checkpoints.get(&row.user).map_or(&[][..], Vec::as_slice);
            export.add(row, of_user, partition).await?;
        }
    }
    let PartitionExport { file, moved, .. } = export;
    let manifest = if file.rows == 0 {
        file.discard()?;
        None
    } else {
        Some(file.finish(run.keys)?)
    };
    Ok(Exported { manifest, moved })
}

struct PartitionExport<'a> {
    run: &'a ArchiveRun<'a>,
    file: ArchiveWriter,
    chain: Option<SegmentVerifier<'a>>,
    moved: Vec<AuditPosition>,
}

impl PartitionExport<'_> {
    /// Verifies and writes a row of the partition, after those between it and the row before.
    async fn add(
        &mut self,
        row: &AuditRow,
        checkpoints: &[AuditCheckpoint],
        partition: &AuditPartition,
    ) -> Result<(), ArchiveError> {
        if self.chain.as_ref().is_none_or(|chain| chain.end().user != row.user) {
            AuditCheckpoint::verify_all(self.run.keys, checkpoints)?;
            let base = checkpoint_before(checkpoints, partition.before);
            self.chain = Some(SegmentVerifier::new(self.run.keys, &row.user, base));
            self.file.chains += 1;
        }
        self.add_moved(row).await?;
        self.write(row)
    }

    /// Writes the rows of the chain that are missing before a row of the partition: they are in others.
    async fn add_moved(&mut self, row: &AuditRow) -> Result<(), ArchiveError> {
        while let Some(end) = self.chain.as_ref().map(|chain| chain.end().seq)
            && end + 1 < row.seq
        {
            let rows = self
                .run
                .store
                .audit_rows(&row.user, end, row.seq - 1, MOVED_PAGE)
                .await?;
            if rows.is_empty() {
                // The row is missing, as the verification of the next one finds.
                return Ok(());
            }
            for row in rows {
                let position = AuditPosition {
                    user: row.user.clone(),
                    seq: row.seq,
                };
                // As the rows of the partition, without the user's key.
                self.write(&AuditRow { user_key: None, ..row })?;
                self.moved.push(position);
            }
            if self.moved.len() > MOST_MOVED {
                return Err(ArchiveError::TooManyMoved);
            }
        }
        Ok(())
    }

    fn write(&mut self, row: &AuditRow) -> Result<(), ArchiveError> {
        if let Some(chain) = &mut self.chain {
            chain.step(row)?;
        }
        let mut line = serde_json::to_vec(&ocsf::event(row, self.run.keys))?;
        line.push(b'\n');
        Ok(self.file.write(&line)?)
    }
}

/// Rows of a partition that one query reads.
const PAGE: u32 = 2_000;
/// Rows of one chain that one query reads.
const MOVED_PAGE: usize = 1_000;
/// Most rows of other partitions.
pub(super) const MOST_MOVED: usize = 10_000;
