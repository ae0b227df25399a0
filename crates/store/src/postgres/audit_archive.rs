//! Archives of the audit log: rows of its old partitions, the checkpoints of their chains, and the end of the partitions.

use std::collections::HashMap;

use protocol::time::Timestamp;
use tokio_postgres::{Client, Row};

use super::audit_export::AuditPosition;
use super::audit_partitions::{self, PARTITIONS};
use super::direct::on_own_connection;
use super::error::Failure;
use super::schema_change::Attempts;
use super::settings::PgSettings;
use super::{PgStore, SetupError, audit, migrate};
use crate::StoreError;
use crate::audit::{AuditCheckpoint, AuditRow};
use crate::step::Step;

/// Old partition of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPartition {
    /// Name of the table.
    name: String,
    /// End of its times, exclusive.
    pub before: Timestamp,
    /// True after a run that was interrupted: the rows are archived, and the table is no partition any more.
    pub is_detached: bool,
}

/// Creates the partitions of the next months, and returns the old ones with an end up to `before`, the oldest first.
///
/// # Errors
/// [`SetupError`].
pub async fn old_audit_partitions(settings: &PgSettings, before: Timestamp) -> Result<Vec<AuditPartition>, SetupError> {
    on_own_connection(settings, async |client| {
        migrate::lock(client).await?;
        audit_partitions::create_ahead(client).await?;
        list(client, before).await
    })
    .await
}

/// Refuses further rows in the partition: they would be dropped with it, unread. A row of such an old time is only written where the
/// server's clock was set back.
///
/// # Errors
/// [`SetupError`].
pub async fn close_audit_partition(settings: &PgSettings, partition: &AuditPartition) -> Result<(), SetupError> {
    let close = format!(
        "ALTER TABLE {} DROP CONSTRAINT IF EXISTS audit_closed, ADD CONSTRAINT audit_closed CHECK (false) NOT VALID",
        partition.name
    );
    on_own_connection(settings, async |client| change(client, &close).await).await
}

/// Drops a partition whose rows are archived and have checkpoints, and the archived rows of its chains in other partitions.
///
/// # Errors
/// [`SetupError`].
pub async fn drop_audit_partition(
    settings: &PgSettings,
    partition: &AuditPartition,
    moved: &[AuditPosition],
) -> Result<(), SetupError> {
    let AuditPartition { name, before, .. } = partition;
    let detached = format!("{DETACHED}{}", before.as_millis());
    on_own_connection(settings, async |client| {
        if !partition.is_detached {
            let mut detach =
                format!("ALTER TABLE audit DETACH PARTITION {name}; ALTER TABLE {name} RENAME TO {detached}");
            for table in tables_of(client, partition, moved).await? {
                detach += &delete_moved(&table, moved);
            }
            change(client, &detach).await?;
        }
        // The table is detached: no command waits for it while it is dropped.
        change(client, &format!("DROP TABLE {detached}")).await
    })
    .await
}

/// Executes statements in one transaction that waits for locks for a short time only, again and again: commands queue behind it.
async fn change(client: &Client, statements: &str) -> Result<(), SetupError> {
    audit_partitions::execute(client, VERY_SHORT_WAITS).await?;
    let attempts = Attempts::new();
    while let Err(error) = audit_partitions::execute(client, statements).await {
        attempts.retry_after(error).await?;
    }
    Ok(())
}

async fn list(client: &Client, before: Timestamp) -> Result<Vec<AuditPartition>, SetupError> {
    // The newest partition stays, as the next ones follow it.
    let list = format!(
        "SELECT name, before, false AS is_detached FROM ({PARTITIONS}) AS partitions \
         WHERE before <= {before} AND before < (SELECT max(before) FROM ({PARTITIONS}) AS all_partitions) \
         UNION ALL SELECT relname::text, substring(relname FROM '-?\\d+$')::bigint, true FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ '^{DETACHED}-?\\d+$' \
         ORDER BY 2",
        before = before.as_millis()
    );
    let rows = audit_partitions::query(client, &list).await?;
    let partitions = rows.iter().map(|row| {
        Ok::<_, tokio_postgres::Error>(AuditPartition {
            name: row.try_get("name")?,
            before: Timestamp::from_millis(row.try_get("before")?),
            is_detached: row.try_get("is_detached")?,
        })
    });
    partitions.collect::<Result<_, _>>().map_err(audit_partitions::failed)
}

/// Other partitions, if there are rows to delete in them.
async fn tables_of(
    client: &Client,
    partition: &AuditPartition,
    moved: &[AuditPosition],
) -> Result<Vec<String>, SetupError> {
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let tables = audit_partitions::query(client, &format!("SELECT name FROM ({PARTITIONS}) AS partitions")).await?;
    let names = tables.iter().map(|row| row.try_get("name"));
    let mut names: Vec<String> = names.collect::<Result<_, _>>().map_err(audit_partitions::failed)?;
    names.retain(|name| *name != partition.name);
    Ok(names)
}

/// Statements that delete these rows from a partition, which is append-only.
fn delete_moved(table: &str, moved: &[AuditPosition]) -> String {
    let rows = moved.iter().map(|AuditPosition { user, seq }| {
        // A literal of SQL, whose backslashes are ordinary characters.
        format!("('{}', {seq})", user.replace('\'', "''"))
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "; ALTER TABLE {table} DISABLE TRIGGER audit_is_append_only; \
         DELETE FROM {table} WHERE (user_id, seq) IN ({rows}); ALTER TABLE {table} ENABLE TRIGGER audit_is_append_only"
    )
}

impl PgStore {
    /// Reads the next `size` rows of a partition after a position, in the order of the chains, as they are stored: without the keys of
    /// the users.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_partition_page(
        &self,
        partition: &AuditPartition,
        after: &AuditPosition,
        size: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let step = Step::ReadAuditPartition;
        let read = format!(
            "SELECT user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, job_id, \
             trace_id, key_id, mac, personal, NULL::bytea AS user_key FROM {} WHERE (user_id, seq) > ($1, $2) \
             ORDER BY user_id, seq LIMIT $3",
            partition.name
        );
        let found = self
            .pool
            .query(step, &read, &[&after.user, &after.seq, &i64::from(size)])
            .await?;
        let rows = found.iter().map(audit::row).collect::<Result<_, _>>();
        rows.map_err(|failure| self.pool.report(step, failure))
    }

    /// Checkpoints of these users' chains up to that of the partition with this end, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn partition_checkpoints(
        &self,
        users: &[&str],
        before: Timestamp,
    ) -> Result<HashMap<String, Vec<AuditCheckpoint>>, StoreError> {
        let step = Step::ReadAuditCheckpoints;
        let read = "SELECT user_id, before, seq, mac, key_id, signature FROM audit_checkpoints \
                    WHERE user_id = ANY($1) AND before <= $2 ORDER BY user_id, before";
        let found = self.pool.query(step, read, &[&users, &before.as_millis()]).await?;
        let mut checkpoints: HashMap<_, Vec<_>> = HashMap::new();
        for row in &found {
            let checkpoint = audit::checkpoint(row).map_err(|failure| self.pool.report(step, failure))?;
            checkpoints.entry(checkpoint.user.clone()).or_default().push(checkpoint);
        }
        Ok(checkpoints)
    }

    /// Stores checkpoints. One that exists stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]; a repeat stores the missing ones.
    pub async fn store_audit_checkpoints(&self, checkpoints: &[AuditCheckpoint]) -> Result<(), StoreError> {
        let store = "INSERT INTO audit_checkpoints (user_id, before, seq, mac, key_id, signature) \
                     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[], $6::bytea[]) \
                     ON CONFLICT (user_id, before) DO NOTHING";
        let values = (
            column(checkpoints, |checkpoint| checkpoint.user.as_str()),
            column(checkpoints, |checkpoint| checkpoint.before),
            column(checkpoints, |checkpoint| checkpoint.seq),
            column(checkpoints, |checkpoint| checkpoint.mac.as_slice()),
            column(checkpoints, |checkpoint| checkpoint.key.as_str()),
            column(checkpoints, |checkpoint| checkpoint.signature.as_slice()),
        );
        self.pool
            .query(
                Step::StoreAuditCheckpoints,
                store,
                &[&values.0, &values.1, &values.2, &values.3, &values.4, &values.5],
            )
            .await?;
        Ok(())
    }

    /// Ends of all archived partitions, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn archived_audit_times(&self) -> Result<Vec<Timestamp>, StoreError> {
        let step = Step::ReadArchivedTimes;
        // One descent of the index for each.
        let read = "WITH RECURSIVE times AS (SELECT min(before) AS before FROM audit_checkpoints UNION ALL \
                    SELECT (SELECT min(before) FROM audit_checkpoints WHERE before > times.before) FROM times \
                    WHERE times.before IS NOT NULL) SELECT before FROM times WHERE before IS NOT NULL ORDER BY before";
        let found = self.pool.query(step, read, &[]).await?;
        let times = found
            .iter()
            .map(|row| Ok::<_, Failure>(Timestamp::from_millis(row.try_get("before")?)));
        times
            .collect::<Result<_, _>>()
            .map_err(|failure| self.pool.report(step, failure))
    }

    /// Checkpoints of the partition with this end, of the next users in byte order of their ids, each with the checkpoint before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn checkpoints_of_partition(
        &self,
        before: Timestamp,
        after_user: &str,
        limit: u32,
    ) -> Result<Vec<(AuditCheckpoint, Option<AuditCheckpoint>)>, StoreError> {
        let step = Step::ReadCheckpointsOfPartition;
        let read = "SELECT page.*, base.before AS base_before, base.seq AS base_seq, base.mac AS base_mac, \
                    base.key_id AS base_key_id, base.signature AS base_signature FROM \
                    (SELECT user_id, before, seq, mac, key_id, signature FROM audit_checkpoints \
                    WHERE before = $1 AND user_id > $2 ORDER BY user_id LIMIT $3) AS page \
                    LEFT JOIN LATERAL (SELECT * FROM audit_checkpoints WHERE user_id = page.user_id AND before < $1 \
                    ORDER BY before DESC LIMIT 1) AS base ON true ORDER BY page.user_id";
        let found = self
            .pool
            .query(step, read, &[&before.as_millis(), &after_user, &i64::from(limit)])
            .await?;
        let pairs = found.iter().map(|row| Ok((audit::checkpoint(row)?, base(row)?)));
        let pairs = pairs.collect::<Result<_, _>>();
        pairs.map_err(|failure| self.pool.report(step, failure))
    }
}

/// Values of one column.
fn column<'a, T>(checkpoints: &'a [AuditCheckpoint], value: impl Fn(&'a AuditCheckpoint) -> T) -> Vec<T> {
    checkpoints.iter().map(value).collect()
}

/// Checkpoint from the columns of the one before.
fn base(row: &Row) -> Result<Option<AuditCheckpoint>, Failure> {
    let Some(before) = row.try_get("base_before")? else {
        return Ok(None);
    };
    Ok(Some(AuditCheckpoint {
        user: row.try_get("user_id")?,
        before,
        seq: row.try_get("base_seq")?,
        mac: row.try_get("base_mac")?,
        key: row.try_get("base_key_id")?,
        signature: row.try_get("base_signature")?,
    }))
}

/// Settings of the connection: no command waits for more than a tenth of a second.
const VERY_SHORT_WAITS: &str = "SET lock_timeout = 50; SET statement_timeout = 0";

/// Begin of the names of tables that were partitions, before the end of their times.
const DETACHED: &str = "audit_detached_";
