//! The audit log.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::RefusedCommand;
use protocol::id::UserId;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::audit_partitions::PARTITIONS;
use super::error::Failure;
use super::parameter::Parameter;
use super::pool::{Ending, Work};
use super::receipt::ReceiptCheck;
use super::transaction::Transaction;
use super::{PgStore, locks, receipt};
use crate::StoreError;
use crate::accounts::WriteOutcome;
use crate::answers::Receipt;
use crate::audit::{
    Audit, AuditCheckpoint, AuditFilter, AuditFound, AuditRow, ChainEnd, ChainHead, ChainTip, Entry, NewAuditRow,
    OPERATORS, extend,
};
use crate::step::Step;
use crate::vault::{AuditKeys, Ciphertext};

/// Appends a row. The caller holds the lock of the user's head row, so that chains do not fork. Without the lock the row's number
/// may be taken; the transaction then retries.
pub(super) async fn append(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    user: &UserId,
    entry: Entry,
    receipt: &Receipt,
) -> Result<(), Failure> {
    append_to(tx, keys, user.as_str(), entry, receipt).await
}

/// Appends a row about no user to the chain of operators, which this locks.
pub(super) async fn append_for_operators(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    entry: Entry,
    receipt: &Receipt,
) -> Result<(), Failure> {
    locks::lock_operators(tx).await?;
    append_to(tx, keys, OPERATORS, entry, receipt).await
}

async fn append_to(
    tx: &Transaction<'_>,
    keys: &AuditKeys,
    chain: &str,
    entry: Entry,
    receipt: &Receipt,
) -> Result<(), Failure> {
    let look = "SELECT $1::text AS user_id, seq, mac, user_keys.key AS user_key, \
             (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now \
             FROM (SELECT) AS one_row LEFT JOIN audit_heads ON audit_heads.user_id = $1 \
             LEFT JOIN user_keys ON user_keys.user_id = $1";
    let found = tx.query_one(look, &[&chain]).await?;
    let end = chain_end(&found)?;
    let new = extend(keys, &end, chain, found.try_get("now")?, entry, receipt).map_err(Failure::row)?;
    let write = "WITH head AS (INSERT INTO audit_heads (user_id, seq, mac) VALUES ($1, $2, $16) \
             ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, mac = excluded.mac), \
             new_key AS (INSERT INTO user_keys (user_id, key) SELECT $1, $18 WHERE $18::bytea IS NOT NULL ON CONFLICT DO NOTHING) \
             INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
             job_id, trace_id, key_id, mac, personal) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let new_key = new.new_key.as_ref().map(Ciphertext::as_bytes);
    let mut parameters: Vec<&dyn Parameter> = values(&new.row).into();
    parameters.push(&new_key);
    tx.execute(write, &parameters).await?;
    Ok(())
}

/// Appends rows that follow from the ends of their chains, each chain's in order. The caller holds the locks of the users' head rows.
pub(super) async fn append_all(tx: &Transaction<'_>, new: &[NewAuditRow]) -> Result<(), Failure> {
    let rows: Vec<_> = new.iter().map(|new| &new.row).collect();
    let rows = rows.as_slice();
    let heads: HashMap<_, _> = rows.iter().map(|row| (row.user.as_str(), *row)).collect();
    let last = || heads.values();
    let new_keys = || {
        new.iter()
            .filter_map(|new| Some((new.row.user.as_str(), new.new_key.as_ref()?)))
    };
    let write = "WITH heads AS (INSERT INTO audit_heads (user_id, seq, mac) \
             SELECT * FROM unnest($18::text[], $19::bigint[], $20::bytea[]) \
             ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, mac = excluded.mac), \
             new_keys AS (INSERT INTO user_keys (user_id, key) SELECT * FROM unnest($21::text[], $22::bytea[]) \
             ON CONFLICT DO NOTHING) \
             INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
             job_id, trace_id, key_id, mac, personal) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::bigint[], $5::text[], $6::text[], $7::text[], \
             $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], \
             $17::bytea[])";
    tx.execute(
        write,
        &[
            &column(rows, |row| row.user.as_str()),
            &column(rows, |row| row.seq),
            &column(rows, |row| row.v),
            &column(rows, |row| row.at),
            &column(rows, |row| row.action.as_str()),
            &column(rows, |row| row.subject.as_str()),
            &column(rows, |row| row.result.as_str()),
            &column(rows, |row| row.count),
            &column(rows, |row| row.session.as_str()),
            &column(rows, |row| row.connection.as_str()),
            &column(rows, |row| row.address.as_str()),
            &column(rows, |row| row.device.as_str()),
            &column(rows, |row| row.job.as_str()),
            &column(rows, |row| row.trace.as_str()),
            &column(rows, |row| row.key.as_str()),
            &column(rows, |row| row.mac.as_slice()),
            &column(rows, |row| row.personal.as_deref()),
            &last().map(|row| row.user.as_str()).collect::<Vec<_>>(),
            &last().map(|row| row.seq).collect::<Vec<_>>(),
            &last().map(|row| row.mac.as_slice()).collect::<Vec<_>>(),
            &new_keys().map(|(user, _)| user).collect::<Vec<_>>(),
            &new_keys().map(|(_, key)| key.as_bytes()).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// Values of one column.
fn column<'a, T>(rows: &[&'a AuditRow], value: impl Fn(&'a AuditRow) -> T) -> Vec<T> {
    rows.iter().map(|row| value(row)).collect()
}

/// Values of a row in the order of the columns: user, seq, v, at, action, subject, result, count, session, connection, address,
/// device, job, trace, key, mac, personal.
pub(super) fn values(row: &AuditRow) -> [&dyn Parameter; 17] {
    [
        &row.user,
        &row.seq,
        &row.v,
        &row.at,
        &row.action,
        &row.subject,
        &row.result,
        &row.count,
        &row.session,
        &row.connection,
        &row.address,
        &row.device,
        &row.job,
        &row.trace,
        &row.key,
        &row.mac,
        &row.personal,
    ]
}

struct RecordEntries<'a> {
    user: &'a UserId,
    entries: Vec<Entry>,
    receipt: &'a Receipt,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for RecordEntries<'_> {
    type Outcome = WriteOutcome;

    fn deadline(&self) -> Option<Instant> {
        Some(self.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<WriteOutcome>, Failure> {
        let Self {
            user,
            entries,
            receipt,
            keys,
        } = self;
        if let ReceiptCheck::Repeated(answer) = receipt::begin(tx, user, receipt).await? {
            return Ok(Ending::RollBack(WriteOutcome::Repeated(answer)));
        }
        for entry in entries {
            append(tx, keys, user, entry.clone(), receipt).await?;
        }
        receipt::remember(tx, receipt).await?;
        Ok(Ending::CommitBefore(receipt.deadline, WriteOutcome::Committed))
    }
}

#[async_trait]
impl Audit for PgStore {
    async fn record_refusals(
        &self,
        user: &UserId,
        refused: &[RefusedCommand],
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError> {
        let work = RecordEntries {
            user,
            entries: refused.iter().map(Entry::of_refused).collect(),
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::RecordRefusals, &work).await
    }

    async fn record_confirmation(
        &self,
        user: &UserId,
        command: &str,
        receipt: &Receipt,
    ) -> Result<WriteOutcome, StoreError> {
        let work = RecordEntries {
            user,
            entries: vec![Entry::of_confirmation(command)],
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::RecordConfirmation, &work).await
    }

    async fn next_audited_user(&self, user: Option<&str>) -> Result<Option<String>, StoreError> {
        let step = Step::LookUpNextAuditedUser;
        let (beyond, user) = after(user);
        let first = |table| format!("(SELECT user_id FROM {table} WHERE user_id {beyond} $1 ORDER BY user_id LIMIT 1)");
        let firsts = ["audit", "audit_heads", "audit_checkpoints"]
            .map(first)
            .join(" UNION ALL ");
        let next = format!("SELECT min(user_id) FROM ({firsts}) AS next");
        let rows = self.pool.query(step, &next, &[&user]).await?;
        let next = rows.first().map_or(Ok(None), |row| row.try_get(0));
        next.map_err(|error| self.pool.report(step, error.into()))
    }

    async fn audit_tip(&self, user: &str) -> Result<ChainTip, StoreError> {
        let step = Step::ReadChainHead;
        // One statement, so that head and rows are of one snapshot.
        let read = "SELECT $1::text AS user_id, seq, mac, (SELECT min(seq) FROM audit WHERE user_id = $1) AS first, \
                    (SELECT max(seq) FROM audit WHERE user_id = $1) AS last \
                    FROM (SELECT) AS one_row LEFT JOIN audit_heads ON user_id = $1";
        let rows = self.pool.query(step, read, &[&user]).await?;
        let tip = rows.first().map(|row| {
            Ok(ChainTip {
                head: chain_head(row)?,
                first: row.try_get("first")?,
                last: row.try_get("last")?,
            })
        });
        let nothing = Ok(ChainTip {
            head: None,
            first: None,
            last: None,
        });
        tip.unwrap_or(nothing)
            .map_err(|failure| self.pool.report(step, failure))
    }

    async fn audit_checkpoints(&self, user: &str) -> Result<Vec<AuditCheckpoint>, StoreError> {
        let step = Step::ReadAuditCheckpoints;
        let read = "SELECT user_id, before, seq, mac, key_id, signature FROM audit_checkpoints WHERE user_id = $1 ORDER BY before";
        let rows = self.pool.query(step, read, &[&user]).await?;
        let checkpoints = rows.iter().map(checkpoint).collect::<Result<_, _>>();
        checkpoints.map_err(|failure| self.pool.report(step, failure))
    }

    async fn audit_rows(&self, user: &str, after: i64, up_to: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let step = Step::ReadAuditRows;
        let read = "SELECT user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
                    job_id, trace_id, key_id, mac, personal, user_keys.key AS user_key \
                    FROM audit LEFT JOIN user_keys USING (user_id) \
                    WHERE user_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(step, read, &[&user, &after, &up_to, &limit]).await?;
        let rows = rows.iter().map(row).collect::<Result<_, _>>();
        rows.map_err(|failure| self.pool.report(step, failure))
    }

    async fn read_audit(
        &self,
        user: &UserId,
        filter: &AuditFilter,
        receipt: &Receipt,
    ) -> Result<AuditFound, StoreError> {
        self.read_audit_log(user, filter, receipt).await
    }

    async fn unlogged_heads(&self, user: Option<&str>, limit: usize) -> Result<Vec<ChainHead>, StoreError> {
        let step = Step::ReadUnloggedHeads;
        let (beyond, user) = after(user);
        let read = format!(
            "SELECT user_id, seq, mac, erased FROM audit_heads WHERE logged < seq AND user_id {beyond} $1 ORDER BY user_id LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(step, &read, &[&user, &limit]).await?;
        let heads = rows.iter().filter_map(|row| head_to_log(row).transpose());
        let heads = heads.collect::<Result<_, _>>();
        heads.map_err(|failure| self.pool.report(step, failure))
    }

    async fn audit_partitions_left(&self) -> Result<Option<Duration>, StoreError> {
        let step = Step::ReadAuditPartitions;
        let read = format!(
            "SELECT extract(epoch FROM to_timestamp(max(before) / 1000.0) - now())::float8 AS seconds FROM ({PARTITIONS}) AS partitions"
        );
        let rows = self.pool.query(step, &read, &[]).await?;
        let seconds = rows
            .first()
            .map_or(Ok(None), |row| row.try_get::<_, Option<f64>>("seconds"));
        let seconds = seconds.map_err(|error| self.pool.report(step, error.into()))?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    async fn mark_heads_logged(&self, heads: &[ChainHead]) -> Result<(), StoreError> {
        let mark = "UPDATE audit_heads SET logged = greatest(audit_heads.logged, marked.seq) \
                    FROM unnest($1::text[], $2::bigint[]) AS marked (user_id, seq) \
                    WHERE audit_heads.user_id = marked.user_id";
        let users: Vec<_> = heads.iter().map(|head| head.user.as_str()).collect();
        let numbers: Vec<_> = heads.iter().map(|head| head.seq).collect();
        self.pool
            .query(Step::MarkHeadsAsLogged, mark, &[&users, &numbers])
            .await?;
        Ok(())
    }
}

/// Operator and operand to find the next user. No user id is empty, but a row that Postern did not write may have an empty one.
fn after(user: Option<&str>) -> (&'static str, &str) {
    user.map_or((">=", ""), |user| (">", user))
}

/// Head from the columns `user_id`, `seq` and `mac`; none if the chain has none.
pub(super) fn chain_head(row: &Row) -> Result<Option<ChainHead>, Failure> {
    let user = row.try_get("user_id")?;
    let (seq, mac): (Option<i64>, Option<Vec<u8>>) = (row.try_get("seq")?, row.try_get("mac")?);
    Ok(seq.zip(mac).map(|(seq, mac)| ChainHead {
        user,
        seq,
        mac,
        erased: None,
    }))
}

/// Head with the user's last erasure, from all columns of `audit_heads`.
fn head_to_log(row: &Row) -> Result<Option<ChainHead>, Failure> {
    let erased = row.try_get("erased")?;
    Ok(chain_head(row)?.map(|head| ChainHead { erased, ..head }))
}

/// End of a chain from the columns `user_id`, `seq`, `mac` and `user_key`.
pub(super) fn chain_end(row: &Row) -> Result<ChainEnd, Failure> {
    Ok(ChainEnd {
        head: chain_head(row)?,
        user_key: user_key(row)?,
    })
}

fn user_key(row: &Row) -> Result<Option<Ciphertext>, Failure> {
    let key: Option<Vec<u8>> = row.try_get("user_key")?;
    Ok(key.map(Ciphertext::from_bytes))
}

/// Checkpoint from all columns of `audit_checkpoints`.
pub(super) fn checkpoint(row: &Row) -> Result<AuditCheckpoint, Failure> {
    Ok(AuditCheckpoint {
        user: row.try_get("user_id")?,
        before: row.try_get("before")?,
        seq: row.try_get("seq")?,
        mac: row.try_get("mac")?,
        key: row.try_get("key_id")?,
        signature: row.try_get("signature")?,
    })
}

/// Audit row from all columns of `audit`, and the key of its user as `user_key`.
pub(super) fn row(row: &Row) -> Result<AuditRow, Failure> {
    Ok(AuditRow {
        user: row.try_get("user_id")?,
        seq: row.try_get("seq")?,
        v: row.try_get("v")?,
        at: row.try_get("at")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        result: row.try_get("result")?,
        count: row.try_get("count")?,
        session: row.try_get("session_id")?,
        connection: row.try_get("connection_id")?,
        address: row.try_get("address")?,
        device: row.try_get("device")?,
        job: row.try_get("job_id")?,
        trace: row.try_get("trace_id")?,
        key: row.try_get("key_id")?,
        mac: row.try_get("mac")?,
        personal: row.try_get("personal")?,
        user_key: user_key(row)?,
    })
}
