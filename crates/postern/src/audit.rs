//! `postern audit`: verification, export and archive of the audit log.

mod archive;
mod archives;
mod export;
mod heads;
mod ocsf;
mod tail;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use store::vault::{AuditKeys, VaultKeys};
use store::{
    Audit, ChainHead, InvalidAuditRow, PgSettings, PgStore, SetupError, StoreError, VerifyError, verify_audit,
};
use telemetry::metrics::Metrics;

pub(crate) use self::archive::archive;
pub use self::archive::{ArchiveError, ArchiveFileError};
pub use self::archives::ArchivesError;
use self::archives::{VerifiedArchives, verify_archives};
pub use self::export::ExportError;
pub(crate) use self::export::export;
pub use self::heads::HeadsError;
pub(crate) use self::tail::tail;
use crate::config::{AuditVerifyArgs, ConfigError, Problems};

/// Failure to verify the audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The logged heads cannot be read.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[from] SetupError),
    /// Archives could not be verified.
    #[error("verify the archives")]
    Archives(#[from] ArchivesError),
    /// Reading the audit log failed.
    #[error("read the audit log")]
    Read(#[from] StoreError),
    /// Chains are broken; has the first broken row of each.
    #[error("the audit log is not as it was written{0}")]
    Broken(BrokenChains),
}

/// First broken row of each broken chain.
#[derive(Debug)]
pub struct BrokenChains(pub Vec<InvalidAuditRow>);

impl fmt::Display for BrokenChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|row| write!(f, "\n{row}"))
    }
}

/// Verifies the chains and reports the number of intact rows, and of the logged heads among them.
///
/// # Errors
/// [`AuditError`].
pub(crate) async fn verify(args: &AuditVerifyArgs, problems: Problems) -> Result<String, AuditError> {
    let (database, keys) = args.settings(problems)?;
    let request = VerifyRequest {
        heads: args.heads.as_deref(),
        user: args.user.as_deref(),
        archives: &args.archive,
    };
    let chains = verify_chains(&database, &keys, &request).await?;
    if chains.broken.is_empty() {
        Ok(chains.report(args.heads.as_deref()))
    } else {
        Err(AuditError::Broken(BrokenChains(chains.broken)))
    }
}

/// Extent of a verification.
#[derive(Debug, Default)]
pub(crate) struct VerifyRequest<'a> {
    /// Log with heads that the chains must have.
    pub(crate) heads: Option<&'a Path>,
    /// User of the only chain that is verified.
    pub(crate) user: Option<&'a str>,
    /// Archives.
    pub(crate) archives: &'a [PathBuf],
}

/// Verifies all chains, or that of one user, also against the heads in a log, and archives.
///
/// # Errors
/// [`AuditError`]; broken chains are no error.
pub(crate) async fn verify_chains(
    database: &PgSettings,
    keys: &VaultKeys,
    request: &VerifyRequest<'_>,
) -> Result<VerifiedChains, AuditError> {
    let logged = request.heads.map(by_user).transpose()?.unwrap_or_default();
    let database = database.clone().for_reading();
    let store = PgStore::connect(&database, keys.audit_keys(), &Metrics::new("audit").meter()).await?;
    let mut archives = VerifiedArchives::default();
    if !request.archives.is_empty() {
        archives = verify_archives(&store, &keys.audit_keys(), request.archives, &logged).await?;
    }
    let mut verifier = ChainVerifier {
        store,
        keys: keys.audit_keys(),
        logged,
        chains: VerifiedChains {
            heads: archives.heads,
            broken: std::mem::take(&mut archives.broken),
            archives,
            ..VerifiedChains::default()
        },
    };
    match request.user {
        Some(user) => verifier.verify_chain(user).await?,
        None => verifier.verify_all().await?,
    }
    Ok(verifier.chains)
}

/// Newest logged head of each chain.
///
/// # Errors
/// [`HeadsError`].
pub(crate) fn newest_heads(file: &Path) -> Result<HashMap<String, ChainHead>, HeadsError> {
    let newest = by_user(file)?.into_iter().filter_map(|(user, heads)| {
        let newest = heads.into_iter().max_by_key(|head| head.seq)?;
        Some((user, newest))
    });
    Ok(newest.collect())
}

fn by_user(file: &Path) -> Result<HashMap<String, Vec<ChainHead>>, HeadsError> {
    let mut logged: HashMap<_, Vec<_>> = HashMap::new();
    for head in heads::read(file)? {
        logged.entry(head.user.clone()).or_default().push(head);
    }
    Ok(logged)
}

/// Last erasure of each user in a log of workers: user, and number of its row.
///
/// # Errors
/// [`AuditError::Heads`].
pub(crate) fn logged_erasures(file: &Path) -> Result<Vec<(String, i64)>, AuditError> {
    let mut erasures = BTreeMap::new();
    for head in heads::read(file)? {
        if let Some(erased) = head.erased {
            let last = erasures.entry(head.user).or_insert(erased);
            *last = erased.max(*last);
        }
    }
    Ok(erasures.into_iter().collect())
}

/// Result of the verification of chains.
#[derive(Debug, Default)]
pub(crate) struct VerifiedChains {
    /// Rows of intact chains.
    pub(crate) rows: u64,
    /// Intact chains.
    pub(crate) users: u64,
    /// Logged heads that are in their chains, or in archives.
    pub(crate) heads: usize,
    archives: VerifiedArchives,
    /// First broken row of each broken chain.
    pub(crate) broken: Vec<InvalidAuditRow>,
}

/// Verifier of chains.
struct ChainVerifier {
    store: PgStore,
    keys: AuditKeys,
    /// Logged heads by user, of the chains that are not verified yet.
    logged: HashMap<String, Vec<ChainHead>>,
    chains: VerifiedChains,
}

impl ChainVerifier {
    /// Verifies all chains, including those that only logged heads mention.
    async fn verify_all(&mut self) -> Result<(), StoreError> {
        let mut last: Option<String> = None;
        while let Some(user) = self.store.next_audited_user(last.as_deref()).await? {
            self.verify_chain(&user).await?;
            last = Some(user);
        }
        let missing: Vec<_> = self.logged.keys().cloned().collect();
        for user in missing {
            self.verify_chain(&user).await?;
        }
        Ok(())
    }

    async fn verify_chain(&mut self, user: &str) -> Result<(), StoreError> {
        let logged = self.logged.remove(user).unwrap_or_default();
        match verify_audit(&self.store, &self.keys, user, &logged).await {
            Ok(rows) => {
                self.chains.rows += rows;
                self.chains.users += 1;
                self.chains.heads += self.compared(user, &logged).await?;
            }
            Err(VerifyError::Broken(broken)) => self.chains.broken.push(broken),
            Err(VerifyError::Store(error)) => return Err(error),
        }
        Ok(())
    }
}

impl ChainVerifier {
    /// Number of logged heads that were compared with a row: those of archived rows are left to the archives.
    async fn compared(&self, user: &str, logged: &[ChainHead]) -> Result<usize, StoreError> {
        if logged.is_empty() {
            return Ok(0);
        }
        let checkpoints = self.store.audit_checkpoints(user).await?;
        let archived = checkpoints.last().map_or(0, |newest| newest.seq);
        Ok(logged.iter().filter(|head| head.seq > archived).count())
    }
}

impl VerifiedChains {
    /// Sentence on intact chains, compared with the heads of this log.
    fn report(&self, log: Option<&Path>) -> String {
        let Self { rows, users, heads, .. } = self;
        let intact = format!("{rows} rows of {users} users{} are as they were written", self.archives);
        match log {
            None => intact,
            Some(log) if *heads == 0 => format!(
                "{intact}; {} has no head of them yet: a worker logs heads at its start and once an hour",
                log.display()
            ),
            Some(_) => format!("{intact}, {heads} logged heads among them"),
        }
    }
}

/// Part of a sentence on intact rows.
impl fmt::Display for VerifiedArchives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, archives, .. } = self;
        if *archives == 0 {
            return Ok(());
        }
        write!(f, ", and {rows} rows in {archives} archives,")?;
        match self.not_given {
            Some(before) => write!(f, " without those before {before},"),
            None => Ok(()),
        }
    }
}
