//! `postern audit verify`: whether the audit log is as it was written.

mod heads;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use store::vault::AuditKeys;
use store::{Audit, ChainHead, InvalidAuditRow, PgStore, SetupError, StoreError, VerifyError, verify_audit};
use telemetry::metrics::Metrics;

pub use self::heads::HeadsError;
use crate::config::{AuditVerifyArgs, ConfigError};

/// Why the audit log was not found whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Wrong settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The logged heads.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The database.
    #[error("connect to Postgres")]
    Connect(#[from] SetupError),
    /// The log could not be read to its end.
    #[error("read the audit log")]
    Read(#[from] StoreError),
    /// The first broken row of each chain that has one.
    #[error("the audit log is not as it was written{0}")]
    Broken(BrokenChains),
}

/// The first broken row of each chain that has one.
#[derive(Debug)]
pub struct BrokenChains(pub Vec<InvalidAuditRow>);

impl fmt::Display for BrokenChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|row| write!(f, "\n{row}"))
    }
}

/// Walks the chains and says how many rows are whole.
///
/// # Errors
/// [`AuditError`].
pub(crate) async fn verify(args: &AuditVerifyArgs) -> Result<String, AuditError> {
    let (database, keys) = args.settings()?;
    let logged = args.heads.as_deref().map(by_user).transpose()?.unwrap_or_default();
    let store = PgStore::connect(
        &database.for_reading(),
        keys.audit_keys(),
        &Metrics::new("audit").meter(),
    )
    .await?;
    let mut walk = Walk {
        store,
        keys: keys.audit_keys(),
        logged,
        rows: 0,
        users: 0,
        broken: Vec::new(),
    };
    match &args.user {
        Some(user) => walk.one(user).await?,
        None => walk.all().await?,
    }
    if walk.broken.is_empty() {
        Ok(format!(
            "{} rows of {} users are as they were written",
            walk.rows, walk.users
        ))
    } else {
        Err(AuditError::Broken(BrokenChains(walk.broken)))
    }
}

fn by_user(file: &Path) -> Result<HashMap<String, Vec<ChainHead>>, HeadsError> {
    let mut logged: HashMap<_, Vec<_>> = HashMap::new();
    for head in heads::read(file)? {
        logged.entry(head.user.clone()).or_default().push(head);
    }
    Ok(logged)
}

/// A walk along chains.
struct Walk {
    store: PgStore,
    keys: AuditKeys,
    /// Heads that the log has kept, by user, of those whose chains are still to be walked.
    logged: HashMap<String, Vec<ChainHead>>,
    rows: u64,
    users: u64,
    broken: Vec<InvalidAuditRow>,
}

impl Walk {
    /// Every chain, also those that only the log still knows of.
    async fn all(&mut self) -> Result<(), StoreError> {
        let mut last: Option<String> = None;
        while let Some(user) = self.store.next_audited_user(last.as_deref()).await? {
            self.one(&user).await?;
            last = Some(user);
        }
        let gone: Vec<_> = self.logged.keys().cloned().collect();
        for user in gone {
            self.one(&user).await?;
        }
        Ok(())
    }

    async fn one(&mut self, user: &str) -> Result<(), StoreError> {
        let logged = self.logged.remove(user).unwrap_or_default();
        match verify_audit(&self.store, &self.keys, user, &logged).await {
            Ok(rows) => {
                self.rows += rows;
                self.users += 1;
            }
            Err(VerifyError::Broken(broken)) => self.broken.push(broken),
            Err(VerifyError::Store(error)) => return Err(error),
        }
        Ok(())
    }
}
