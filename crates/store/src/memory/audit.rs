//! The audit log.

use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::RefusedCommand;
use protocol::id::UserId;

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::accounts::WriteOutcome;
use crate::answers::Receipt;
use crate::audit::{Audit, AuditCheckpoint, AuditFilter, AuditFound, AuditRow, ChainHead, ChainTip, Entry};
use crate::rules::{Examined, MOST_EXAMINED};
use crate::vault::AuditKeys;

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

    async fn read_audit(
        &self,
        user: &UserId,
        filter: &AuditFilter,
        receipt: &Receipt,
    ) -> Result<AuditFound, StoreError> {
        let now = self.now();
        let mut state = self.state();
        in_time("read the audit log of a user", receipt)?;
        let found = state.find_audit(&self.audit, user, filter);
        state.audit(
            &self.audit,
            user,
            Entry::of_audit_read(&filter.to_string()),
            receipt,
            now,
        );
        Ok(found)
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

impl State {
    fn find_audit(&self, keys: &AuditKeys, user: &UserId, filter: &AuditFilter) -> AuditFound {
        let rows = self.audit.get(user.as_str()).map_or(&[][..], |chain| &chain.rows);
        let older = rows.iter().rev();
        let older = older.filter(|row| filter.before.is_none_or(|before| row.seq < before));
        let examined: Vec<_> = older
            .take(usize::try_from(MOST_EXAMINED).unwrap_or(usize::MAX))
            .collect();
        let bounds = Examined {
            count: i64::try_from(examined.len()).unwrap_or(i64::MAX),
            last: examined.last().map(|row| row.seq),
        };
        let found = examined.into_iter().filter(|row| filter.selects(row));
        let with_personal_data = |row: &AuditRow| {
            let row = AuditRow {
                user_key: self.user_keys.get(user).cloned(),
                ..row.clone()
            };
            let personal = row.shown_personal_data(keys);
            (row, personal)
        };
        let found: Vec<_> = found.take(filter.limit.into()).map(with_personal_data).collect();
        let is_full = found.len() >= usize::from(filter.limit);
        let next = bounds.next(is_full, found.last().map(|(row, _)| row.seq));
        AuditFound { rows: found, next }
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
