//! `postern restore apply`: what follows from the findings in a restored database, recorded in the audit log.

use std::collections::HashMap;
use std::fmt;
use std::process::ExitCode;

use bus::RedisBus;
use data_encoding::HEXLOWER;
use lifecycle::{Clock, OsEntropy};
use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};
use protocol::id::UserId;
use serde::Serialize;
use store::{
    ChainHead, InvalidAuditRow, PgStore, Receipt, RestoredAccount, SessionSelector, read_users_with_open_sessions,
};
use worker::{DoubtfulLink, OperatorLinks, OperatorSessions, operator_receipt};

use super::{Findings, RestoreError, RestoreReport, find, report};
use crate::audit;
use crate::cli::{OperatorSettings, RestoreApplyCommand};
use crate::config::Problems;
use crate::operator::with_redis;

/// Findings, and what was done about them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyReport {
    #[serde(flatten)]
    found: RestoreReport,
    /// False if a restore does not explain the findings: nothing was changed then.
    applied: bool,
    /// Accounts whose users have to link them again.
    marked: u64,
    /// Sessions that were live, and were ended.
    sessions_ended: usize,
}

impl ApplyReport {
    /// Failure if nothing was changed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.applied {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            found,
            applied,
            marked,
            sessions_ended,
        } = self;
        writeln!(f, "{found}")?;
        if *applied {
            write!(
                f,
                "marked {marked} accounts, ended {sessions_ended} live sessions; workers may start"
            )
        } else {
            write!(f, "nothing was changed: a restore does not explain all of this")
        }
    }
}

/// Records the restore in the audit log: in the chain of operators, and in each chain that has lost rows, which therefore does not go on as
/// if it had none. Then has the users of doubtful links link them again, and ends all sessions if asked to.
///
/// # Errors
/// [`RestoreError`]. A repeat goes on where this ended, and records what is still found.
pub(crate) async fn apply(
    args: &RestoreApplyCommand,
    problems: Problems,
    clock: &dyn Clock,
) -> Result<ApplyReport, RestoreError> {
    let mut problems = problems;
    let redis = if args.end_sessions {
        args.redis.check(&mut problems).map(Some)
    } else {
        Some(None)
    };
    let settings = args.operator.check(&mut problems);
    let (settings, redis) = problems.finish(settings.zip(redis))?;
    let found = Box::pin(find((&settings.database, &settings.keys), &args.loss, clock)).await?;
    let applied = found.are_explained();
    let (mut marked, mut sessions_ended) = (0, 0);
    if applied {
        let heads = args.loss.heads.as_deref().map(audit::newest_heads).transpose()?;
        let meter = NoopMeterProvider::new().meter("postern");
        let connected = PgStore::connect(&settings.database, settings.keys.audit_keys(), &meter).await;
        let changes = Changes {
            store: &connected.map_err(RestoreError::Connect)?,
            settings: &settings,
            clock,
        };
        changes.record(&found, &heads.unwrap_or_default()).await?;
        for account in &found.state.to_link_again {
            marked += u64::from(changes.mark(account).await?);
        }
        if let Some(redis) = &redis {
            let ended = with_redis(redis, async |bus| changes.end_sessions(bus).await);
            sessions_ended = Box::pin(ended).await?;
        }
    }
    Ok(ApplyReport {
        found: report(&found),
        applied,
        marked,
        sessions_ended,
    })
}

struct Changes<'a> {
    store: &'a PgStore,
    settings: &'a OperatorSettings,
    clock: &'a dyn Clock,
}

impl Changes<'_> {
    /// Records the restore, and the loss of each chain with the newest of its heads that was logged.
    async fn record(&self, found: &Findings, heads: &HashMap<String, ChainHead>) -> Result<(), RestoreError> {
        let (lost_until, accounts) = (found.lost_until, found.state.to_link_again.len());
        let as_of = found
            .state
            .as_of
            .map_or("unknown".to_owned(), |as_of| as_of.to_string());
        let command =
            format!("restore apply: state of {as_of}, lost until {lost_until}, {accounts} accounts to link again");
        self.store
            .record_operator_command(None, &command, &self.receipt())
            .await?;
        for InvalidAuditRow { user, seq, .. } in &found.chains.broken {
            let head = heads
                .get(user)
                .map(|head| format!(", logged head {} {}", head.seq, HEXLOWER.encode(&head.mac)));
            let command = format!(
                "restore apply: rows from {seq} on were lost{}",
                head.unwrap_or_default()
            );
            // The chain of operators has no id of a user.
            let user = UserId::new(user).ok();
            self.store
                .record_operator_command(user.as_ref(), &command, &self.receipt())
                .await?;
        }
        Ok(())
    }

    /// Has the user of a link link it again. False if it has other tokens by now.
    async fn mark(&self, account: &RestoredAccount) -> Result<bool, RestoreError> {
        let link = DoubtfulLink {
            user: UserId::new(&account.user)?,
            account: account.account_type,
            generation: account.generation,
            username: account.username.clone(),
            last_synced: account.last_synced,
        };
        let links = OperatorLinks {
            refreshes: self.store,
            clock: self.clock,
        };
        Ok(links.require_new_link(&link, &self.receipt()).await?)
    }

    /// Ends all sessions of each user who had one; returns the number of those that were live.
    async fn end_sessions(&self, bus: &RedisBus) -> Result<usize, RestoreError> {
        let sessions = OperatorSessions {
            records: self.store,
            registry: bus,
            presence: bus,
            clock: self.clock,
        };
        let mut ended = 0;
        for user in read_users_with_open_sessions(&self.settings.database).await? {
            let user = UserId::new(&user)?;
            ended += sessions.end(&user, SessionSelector::All, &self.receipt()).await?;
        }
        Ok(ended)
    }

    fn receipt(&self) -> Receipt {
        operator_receipt(&self.settings.operator, &OsEntropy)
    }
}
