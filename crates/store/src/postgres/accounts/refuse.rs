//! `refuse_link`.

use async_trait::async_trait;
use tokio::time::Instant;

use super::linked;
use crate::accounts::{RefusedLink, WriteOutcome};
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, outbox, queue, receipt, row};
use crate::rules;
use crate::vault::AuditKeys;

pub(super) struct RefuseLink<'a> {
    pub(super) refused: &'a RefusedLink,
    pub(super) receipt: &'a Receipt,
    pub(super) audit: &'a AuditKeys,
}

#[async_trait]
impl Work for RefuseLink<'_> {
    type Outcome = WriteOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<WriteOutcome>, Failure> {
        let Self {
            refused,
            receipt,
            audit,
        } = self;
        match receipt::begin(tx, &refused.user, receipt).await {
            Ok(ReceiptCheck::New(_)) => {}
            Ok(ReceiptCheck::Repeated(answer)) => return Ok(Ending::RollBack(WriteOutcome::Repeated(answer))),
            Err(Failure::SessionEnded) => {
                queue::revoke_issued(tx, &refused.user, refused.revocation.as_ref(), &receipt.job).await?;
                audit::append(tx, audit, &refused.user, Entry::of_refused_link(refused), receipt).await?;
                return Ok(Ending::Commit(WriteOutcome::Committed));
            }
            Err(failure) => return Err(failure),
        }
        let linked = linked(tx, &refused.user, refused.account).await?;
        let status = linked.as_ref().map(row::status).transpose()?;
        if rules::is_failure_published(status) {
            outbox::send(tx, &refused.user, std::slice::from_ref(&refused.event)).await?;
        }
        queue::revoke_issued(tx, &refused.user, refused.revocation.as_ref(), &receipt.job).await?;
        audit::append(tx, audit, &refused.user, Entry::of_refused_link(refused), receipt).await?;
        receipt::remember(tx, receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, WriteOutcome::Committed))
    }
}
