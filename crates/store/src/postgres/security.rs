//! Security settings and second factors.

pub(super) mod columns;

use async_trait::async_trait;
use protocol::id::UserId;
use protocol::time::Timestamp;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, alert_rows, audit, locks, outbox, receipt, row};
use crate::StoreError;
use crate::answers::Actor;
use crate::audit::Entry;
use crate::security::{Security, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, SecurityRule};
use crate::step::Step;
use crate::vault::AuditKeys;

#[async_trait]
impl Security for PgStore {
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError> {
        let step = Step::ReadSecuritySettings;
        let rows = self.pool.query(step, columns::READ, &[&user.as_str()]).await?;
        let record = rows
            .first()
            .map_or_else(|| Ok(SecurityRecord::default()), columns::record);
        record.map_err(|failure| self.pool.report(step, failure))
    }

    async fn decide_security(
        &self,
        user: &UserId,
        by: &Actor,
        decide: &SecurityRule<'_>,
    ) -> Result<SecurityOutcome, StoreError> {
        let work = DecideSecurity {
            user,
            by,
            decide,
            audit: &self.audit,
        };
        self.pool.transact(Step::UpdateSecuritySettings, &work).await
    }
}

struct DecideSecurity<'a> {
    user: &'a UserId,
    by: &'a Actor,
    decide: &'a SecurityRule<'a>,
    audit: &'a AuditKeys,
}

#[async_trait]
impl Work for DecideSecurity<'_> {
    type Outcome = SecurityOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SecurityOutcome>, Failure> {
        locks::lock_user(tx, self.user, self.by.session()).await?;
        let (record, now) = self.read(tx).await?;
        let change = match (self.decide)(&record, now).map_err(Failure::row)? {
            SecurityDecision::Leave(outcome) => return Ok(Ending::RollBack(SecurityOutcome::Committed(outcome))),
            SecurityDecision::Change(change) => change,
        };
        if let Some(receipt) = &change.receipt {
            if let Some(answer) = receipt::repeated(tx, receipt).await? {
                return Ok(Ending::RollBack(SecurityOutcome::Repeated(answer)));
            }
            for audit_event in &change.audit_events {
                audit::append(tx, self.audit, self.user, Entry::of_event(audit_event), receipt).await?;
            }
            receipt::remember(tx, receipt).await?;
        }
        columns::write(tx, self.user, &change.record).await?;
        let subject = match &change.effect {
            SecurityEffect::Suspected(subject) => Some(subject),
            SecurityEffect::Nothing | SecurityEffect::Cleared(_) | SecurityEffect::AuthorizationsEnd => None,
        };
        outbox::send_with_subject(tx, self.user, &change.events, subject).await?;
        match &change.effect {
            SecurityEffect::Nothing | SecurityEffect::Suspected(_) => {}
            SecurityEffect::Cleared(session) => alert_rows::clear(tx, self.user, session).await?,
            SecurityEffect::AuthorizationsEnd => locks::move_access_epoch(tx, self.user).await?,
        }
        let decided = SecurityOutcome::Committed(change.outcome);
        Ok(match change.receipt {
            Some(receipt) => Ending::CommitBefore(receipt.deadline, decided),
            None => Ending::Commit(decided),
        })
    }
}

impl DecideSecurity<'_> {
    /// Reads the record and the time after the locks; `now()` would be the transaction's start. The row itself is locked too: a
    /// key rotation takes no head row, and must not re-encrypt a row that is about to be written.
    async fn read(&self, tx: &Transaction<'_>) -> Result<(SecurityRecord, Timestamp), Failure> {
        let lock = "WITH locked AS (SELECT FROM security WHERE user_id = $1 FOR UPDATE) \
                 SELECT clock_timestamp(), count(*) FROM locked";
        let now = row::timestamp(tx.query_one(lock, &[&self.user.as_str()]).await?.try_get(0)?);
        let read = columns::READ;
        let row = tx.query_opt(read, &[&self.user.as_str()]).await?;
        let record = row.as_ref().map(columns::record).transpose()?;
        Ok((record.unwrap_or_default(), now))
    }
}
