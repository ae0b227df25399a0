//! `postern restore`: what a restored database does not know, and what follows from that.

mod apply;

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use lifecycle::Clock;
use protocol::account::AccountType;
use protocol::id::InvalidId;
use protocol::time::Timestamp;
use serde::Serialize;
use store::vault::VaultKeys;
use store::{
    AuditRowFault, InvalidAuditRow, PgSettings, RestoreCheck, RestoredState, SetupError, StoreError,
    read_restored_state,
};

pub(crate) use self::apply::apply;

use crate::audit::{self, AuditError, HeadsError};
use crate::config::{ConfigError, LossArgs, Problems, RestoreCheckArgs};

/// Failure to check or prepare a restored database.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database could not be read.
    #[error("read the restored database")]
    Read(#[from] SetupError),
    /// The audit log could not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The logged heads could not be read.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[source] SetupError),
    /// Connecting to Redis failed.
    #[error("connect to Redis")]
    Redis(#[from] bus::ConnectError),
    /// Sessions could not be ended.
    #[error(transparent)]
    Sessions(#[from] worker::OperatorSessionsError),
    /// A change failed; a repeat goes on where it ended.
    #[error("a repeat goes on where this ended")]
    Change(#[from] StoreError),
    /// Invalid user id in the database.
    #[error("user in the database")]
    User(#[from] InvalidId),
}

/// Findings in a restored database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreReport {
    /// Time of the restored state, to the minute.
    as_of: Option<Timestamp>,
    lost_until: Timestamp,
    link_again: Vec<Account>,
    erase_again: Vec<String>,
    open_sessions: u64,
    unreadable: Vec<Unreadable>,
    audit: AuditFindings,
}

/// Account whose refresh token may have been used after the restored state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    user: String,
    account_type: AccountType,
    platform_user_id: String,
}

/// Encrypted column with values whose key is missing.
#[derive(Debug, Serialize)]
struct Unreadable {
    column: &'static str,
    values: u64,
}

/// Verification of the chains.
#[derive(Debug, Serialize)]
struct AuditFindings {
    rows: u64,
    /// Logged heads that are in their chains.
    heads: usize,
    broken: Vec<BrokenChain>,
}

/// First row of a chain that is not as it was written, or as it was logged.
#[derive(Debug, Serialize)]
struct BrokenChain {
    user: String,
    seq: i64,
    fault: String,
}

impl RestoreReport {
    /// Failure if workers should not start on the database as it is.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.unreadable.is_empty() && self.audit.broken.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl fmt::Display for RestoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.lost_until;
        match self.as_of {
            Some(as_of) => writeln!(
                f,
                "state of {as_of}, to the minute; commits from then until {until} are lost"
            )?,
            None => writeln!(f, "state of an unknown time; commits from then until {until} are lost")?,
        }
        for Unreadable { column, values } in &self.unreadable {
            writeln!(f, "{column}: {values} values without their key in POSTERN_VAULT_KEYS")?;
        }
        for BrokenChain { user, seq, fault } in &self.audit.broken {
            writeln!(f, "audit log of user {user:?}, row {seq}: {fault}")?;
        }
        let AuditFindings { rows, heads, .. } = &self.audit;
        writeln!(
            f,
            "audit log: {rows} rows are as they were written, {heads} logged heads among them"
        )?;
        writeln!(f, "{} sessions were open, and may have ended since", self.open_sessions)?;
        for user in &self.erase_again {
            writeln!(f, "user {user:?} was erased after that, and is to be erased again")?;
        }
        write!(f, "{} accounts to link again", self.link_again.len())?;
        self.link_again.iter().try_for_each(|account| {
            let Account {
                user,
                account_type,
                platform_user_id,
            } = account;
            write!(f, "\n{user} {account_type} {platform_user_id}")
        })
    }
}

/// Checks a restored database.
///
/// # Errors
/// [`RestoreError`].
pub(crate) async fn check(
    args: &RestoreCheckArgs,
    problems: Problems,
    clock: &dyn Clock,
) -> Result<RestoreReport, RestoreError> {
    let (database, keys) = args.settings(problems)?;
    let found = Box::pin(find((&database, &keys), &args.loss, clock)).await?;
    Ok(report(&found))
}

/// Findings as the store and the verification of the chains return them.
struct Findings {
    lost_until: Timestamp,
    state: RestoredState,
    chains: audit::VerifiedChains,
}

impl Findings {
    /// True if a restore explains all of it: no value lacks its key, and rows of the audit log are missing at most.
    fn are_explained(&self) -> bool {
        let mut broken = self.chains.broken.iter();
        self.state.unreadable.is_empty() && broken.all(|row| row.fault == AuditRowFault::Missing)
    }
}

async fn find(
    (database, keys): (&PgSettings, &VaultKeys),
    loss: &LossArgs,
    clock: &dyn Clock,
) -> Result<Findings, RestoreError> {
    let lost_until = loss.lost_until.unwrap_or_else(|| Timestamp::from(clock.now()));
    let margins = AccountType::ALL.map(|account| (account, refresh_margin(account)));
    let erasures = match &loss.heads {
        Some(heads) => audit::logged_erasures(heads)?,
        None => Vec::new(),
    };
    let check = RestoreCheck {
        lost_until,
        refresh_margins: &margins,
        keys,
        erasures: &erasures,
    };
    let state = read_restored_state(database, &check).await?;
    let request = audit::VerifyRequest {
        heads: loss.heads.as_deref(),
        ..audit::VerifyRequest::default()
    };
    let chains = audit::verify_chains(database, keys, &request).await?;
    Ok(Findings {
        lost_until,
        state,
        chains,
    })
}

fn refresh_margin(account: AccountType) -> Duration {
    platforms::sync_schedule(account).refresh_margin
}

fn report(found: &Findings) -> RestoreReport {
    let Findings {
        lost_until,
        state,
        chains,
    } = found;
    let link_again = state.to_link_again.iter().map(|account| Account {
        user: account.user.clone(),
        account_type: account.account_type,
        platform_user_id: account.platform_user_id.clone(),
    });
    let unreadable = state.unreadable.iter();
    let broken = chains
        .broken
        .iter()
        .map(|InvalidAuditRow { user, seq, fault }| BrokenChain {
            user: user.clone(),
            seq: *seq,
            fault: fault.to_string(),
        });
    RestoreReport {
        as_of: state.as_of,
        lost_until: *lost_until,
        link_again: link_again.collect(),
        erase_again: state.to_erase_again.clone(),
        open_sessions: state.open_sessions,
        unreadable: unreadable
            .map(|&(column, values)| Unreadable { column, values })
            .collect(),
        audit: AuditFindings {
            rows: chains.rows,
            heads: chains.heads,
            broken: broken.collect(),
        },
    }
}
