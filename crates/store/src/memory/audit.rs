//! The audit log.

use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::RefusedCommand;
use protocol::id::UserId;

use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::accounts::WriteOutcome;
use crate::answers::Receipt;
use crate::audit::{Audit, AuditCheckpoint, AuditRow, ChainHead, ChainTip, Entry};

#[async_trait]
impl Audit for MemoryStore {
    async fn record_refusals(
        &self,
        user: &UserId,
        refused: &[RefusedCommand],
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError> {
        let entries = refused.iter().map(Entry::of_refused);
        self.record("record refusals", user, entries, receipt)
    }

    async fn record_confirmation(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError> {
        let entry = Entry::of_confirmation(command);
        self.record("record a confirmation", user, [entry], receipt)
    }

    async fn next_audited_user(&self, user: Option<&str>) -> Result<Option<String>, StoreError> {
        let state = self.state();
        let next = state.audit.range::<str, _>(after(user)).next();
        Ok(next.map(|(user, _)| user.clone()))
    }

    async fn audit_tip(&self, user: &str) -> Result<ChainTip, StoreError> {
        let head = self.state().audit.get(user).and_then(|chain| chain.head());
        let last = head.as_ref().map(|head| head.seq);
        let first = last.map(|_| 1);
        Ok(ChainTip { head, first, last })
    }

    /// None: only a database has archived rows.
    async fn audit_checkpoints(&self, _user: &str) -> Result<Vec<AuditCheckpoint>, StoreError> {
        Ok(Vec::new())
    }

    async fn audit_rows(&self, user: &str, after: i64, up_to: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let state = self.state();
        let rows = state.audit.get(user).map_or(&[][..], |chain| &chain.rows);
        let wanted = rows.iter().filter(|row| after < row.seq && row.seq <= up_to);
        let user_key = state.user_keys.iter().find(|(known, _)| known.as_str() == user);
        let user_key = user_key.map(|(_, key)| key);
        let with_key = |row: &AuditRow| AuditRow {
            user_key: user_key.cloned(),
            ..row.clone()
        };
        Ok(wanted.take(limit).map(with_key).collect())
    }

    async fn unlogged_heads(&self, user: Option<&str>, limit: usize) -> Result<Vec<ChainHead>, StoreError> {
        let state = self.state();
        let chains = state.audit.range::<str, _>(after(user));
        let moved = chains.filter_map(|(_, chain)| {
            let head = chain.head()?;
            (chain.logged < head.seq).then_some(head)
        });
        Ok(moved.take(limit).collect())
    }

    async fn audit_partitions_left(&self) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }

    async fn mark_heads_logged(&self, heads: &[ChainHead]) -> Result<(), StoreError> {
        let mut state = self.state();
        for head in heads {
            if let Some(chain) = state.audit.get_mut(&head.user) {
                chain.logged = chain.logged.max(head.seq);
            }
        }
        Ok(())
    }
}

impl MemoryStore {
    fn record(
        &self,
        step: &'static str,
        user: &UserId,
        entries: impl IntoIterator<Item = Entry>,
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        if let Some(answer) = state.begin(step, user, receipt, now)? {
            return Ok(WriteOutcome::Repeated(answer));
        }
        in_time(step, receipt)?;
        for entry in entries {
            state.audit(&self.audit, user, entry, receipt, now);
        }
        state.remember(receipt, now);
        Ok(WriteOutcome::Committed)
    }
}

fn after(user: Option<&str>) -> (Bound<&str>, Bound<&str>) {
    (user.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}
