//! Verification of archives: every chain in one from the checkpoint before to its own.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;

use protocol::time::Timestamp;
use store::vault::AuditKeys;
use store::{
    AuditCheckpoint, AuditRow, AuditRowFault, ChainHead, InvalidAuditRow, PgStore, SegmentVerifier, StoreError,
};

use super::archive::{ArchiveFileError, ArchiveReader, manifests};

/// Failure to verify archives.
#[derive(Debug, thiserror::Error)]
pub enum ArchivesError {
    /// A file is missing, or is not as it was written.
    #[error(transparent)]
    File(#[from] ArchiveFileError),
    /// Checkpoints name archives that were not given, though older ones were.
    #[error("archives are missing, of the rows before {0}")]
    Missing(String),
    /// The database has no checkpoint of an archive.
    #[error(
        "the database has no checkpoint of the archive {}: it is of another deployment, or checkpoints were deleted",
        .0.display()
    )]
    Unknown(PathBuf),
    /// Reading checkpoints failed.
    #[error("read the checkpoints")]
    Read(#[from] StoreError),
}

/// Result of the verification of archives.
#[derive(Debug, Default)]
pub(super) struct VerifiedArchives {
    pub(super) archives: usize,
    pub(super) rows: u64,
    /// Logged heads of archived rows that are as they were logged.
    pub(super) heads: usize,
    /// End of the newest archive that was not given, as all older ones; none if all were given.
    pub(super) not_given: Option<Timestamp>,
    /// First broken row of each broken chain.
    pub(super) broken: Vec<InvalidAuditRow>,
}

/// Verifies archives, with the checkpoints in the database and the heads in a log.
///
/// # Errors
/// [`ArchivesError`]; broken chains are no error.
pub(super) async fn verify_archives(
    store: &PgStore,
    keys: &AuditKeys,
    paths: &[PathBuf],
    logged: &HashMap<String, Vec<ChainHead>>,
) -> Result<VerifiedArchives, ArchivesError> {
    let mut verified = VerifiedArchives::default();
    let mut given = BTreeSet::new();
    let known = store.archived_audit_times().await?;
    for path in manifests(paths)? {
        let reader = ArchiveReader::open(&path, keys)?;
        let before = Timestamp::from_millis(reader.manifest.before);
        if !known.contains(&before) {
            return Err(ArchivesError::Unknown(path));
        }
        given.insert(before);
        let archive = ArchiveVerifier {
            keys,
            logged,
            checkpoints: Checkpoints::new(store, before),
            verified: &mut verified,
        };
        archive.verify(reader).await?;
    }
    let oldest = given.first().copied();
    let (older, later): (Vec<_>, Vec<_>) = known.into_iter().partition(|before| Some(*before) < oldest);
    let missing: Vec<_> = later.iter().filter(|before| !given.contains(before)).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.into_iter().map(ToString::to_string).collect();
        return Err(ArchivesError::Missing(missing.join(", ")));
    }
    verified.not_given = older.last().copied();
    Ok(verified)
}

/// Verifier of one archive, whose chains are in the order of the checkpoints.
struct ArchiveVerifier<'a> {
    keys: &'a AuditKeys,
    logged: &'a HashMap<String, Vec<ChainHead>>,
    checkpoints: Checkpoints<'a>,
    verified: &'a mut VerifiedArchives,
}

impl<'a> ArchiveVerifier<'a> {
    async fn verify(mut self, mut reader: ArchiveReader) -> Result<(), ArchivesError> {
        let mut chain = None;
        while let Some(row) = reader.next_row()? {
            if chain
                .as_ref()
                .is_none_or(|chain: &ArchivedChain<'_>| chain.user != row.user)
            {
                self.finish(chain.take());
                chain = Some(self.begin(&row).await?);
            }
            if let Some(chain) = &mut chain {
                self.step(chain, &row);
            }
        }
        self.finish(chain);
        while let Some(pair) = self.checkpoints.next().await? {
            self.report_missing(&pair);
        }
        self.verified.archives += 1;
        Ok(())
    }

    /// Begins the chain of a row: finds its checkpoint, and reports those of chains that the archive does not have.
    async fn begin(&mut self, row: &AuditRow) -> Result<ArchivedChain<'a>, StoreError> {
        let pair = loop {
            match self.checkpoints.next_up_to(&row.user).await? {
                Some(pair) if pair.0.user != row.user => self.report_missing(&pair),
                found => break found,
            }
        };
        let user = row.user.clone();
        let Some((checkpoint, base)) = pair else {
            self.verified.broken.push(InvalidAuditRow {
                user: user.clone(),
                seq: row.seq,
                fault: AuditRowFault::NoCheckpoint,
            });
            return Ok(ArchivedChain { user, rows: None });
        };
        let rows = match checkpoint.verify(self.keys, base.as_ref()) {
            Ok(()) => Some((SegmentVerifier::new(self.keys, &user, base.as_ref()), checkpoint)),
            Err(broken) => {
                self.verified.broken.push(broken);
                None
            }
        };
        Ok(ArchivedChain { user, rows })
    }

    fn step(&mut self, chain: &mut ArchivedChain<'_>, row: &AuditRow) {
        let Some((rows, _)) = &mut chain.rows else { return };
        let stepped = rows.step(row).and_then(|()| self.compare_with_logged(row));
        match stepped {
            Ok(()) => self.verified.rows += 1,
            Err(broken) => {
                self.verified.broken.push(broken);
                chain.rows = None;
            }
        }
    }

    fn compare_with_logged(&mut self, row: &AuditRow) -> Result<(), InvalidAuditRow> {
        let logged = self.logged.get(&row.user).map_or(&[][..], Vec::as_slice);
        for head in logged.iter().filter(|head| head.seq == row.seq) {
            if head.mac != row.mac {
                return Err(InvalidAuditRow {
                    user: row.user.clone(),
                    seq: row.seq,
                    fault: AuditRowFault::NotAsLogged,
                });
            }
            self.verified.heads += 1;
        }
        Ok(())
    }

    /// Compares the end of a chain with its checkpoint.
    fn finish(&mut self, chain: Option<ArchivedChain<'_>>) {
        let Some((rows, checkpoint)) = chain.and_then(|chain| chain.rows) else {
            return;
        };
        let end = rows.end();
        if end.seq < checkpoint.seq {
            self.verified.broken.push(InvalidAuditRow {
                user: checkpoint.user,
                seq: end.seq + 1,
                fault: AuditRowFault::NotInArchive,
            });
        } else if end.seq > checkpoint.seq || end.mac != checkpoint.mac {
            let broken = checkpoint.fault(AuditRowFault::NotAsCheckpoint);
            self.verified.broken.push(broken);
        }
    }

    /// Reports a chain of which the archive has no row.
    fn report_missing(&mut self, (checkpoint, base): &CheckpointPair) {
        self.verified.broken.push(InvalidAuditRow {
            user: checkpoint.user.clone(),
            seq: base.as_ref().map_or(0, |base| base.seq) + 1,
            fault: AuditRowFault::NotInArchive,
        });
    }
}

/// Chain in an archive.
struct ArchivedChain<'a> {
    user: String,
    /// Verifier of the rows, and the checkpoint at their end; none after the first broken row.
    rows: Option<(SegmentVerifier<'a>, AuditCheckpoint)>,
}

/// Checkpoint of a chain, and the one before.
type CheckpointPair = (AuditCheckpoint, Option<AuditCheckpoint>);

/// Checkpoints of an archive, in the order of its chains.
struct Checkpoints<'a> {
    store: &'a PgStore,
    before: Timestamp,
    page: VecDeque<CheckpointPair>,
    /// User after whom the next page starts.
    after: String,
}

impl<'a> Checkpoints<'a> {
    fn new(store: &'a PgStore, before: Timestamp) -> Self {
        Self {
            store,
            before,
            page: VecDeque::new(),
            after: String::new(),
        }
    }

    /// Next checkpoint; none at their end.
    async fn next(&mut self) -> Result<Option<CheckpointPair>, StoreError> {
        self.fill().await?;
        Ok(self.page.pop_front())
    }

    /// Next checkpoint of a user up to this one; none if the next is of a later one.
    async fn next_up_to(&mut self, user: &str) -> Result<Option<CheckpointPair>, StoreError> {
        self.fill().await?;
        Ok(self
            .page
            .pop_front_if(|(checkpoint, _)| checkpoint.user.as_str() <= user))
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.page.is_empty() {
            let page = self
                .store
                .checkpoints_of_partition(self.before, &self.after, PAGE)
                .await?;
            self.page = page.into();
            if let Some((last, _)) = self.page.back() {
                self.after.clone_from(&last.user);
            }
        }
        Ok(())
    }
}

/// Checkpoints that one query reads.
const PAGE: u32 = 1_000;
