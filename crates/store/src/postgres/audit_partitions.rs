//! Partitions of the audit log: one for each month (UTC) of the rows' times, the first one with all rows of before, and a default one,
//! which takes rows of a time that has no other. The owner of the schema creates them ahead of time.

use protocol::fault::chain;
use tokio_postgres::{Client, Error, Row};

use super::SetupError;
use super::schema_change::{Attempts, SHORT_WAITS};

/// Creates the partitions of the next months. Rows of the default partition that lie beyond all others become a partition of their own,
/// without being copied. Where another transaction has the locks for too long, the partitions are left to the next run: nothing depends
/// on them soon.
///
/// # Errors
/// [`SetupError::Partitions`].
pub(super) async fn create_ahead(client: &Client) -> Result<(), SetupError> {
    execute(client, SHORT_WAITS).await?;
    let attempts = Attempts::brief();
    loop {
        let Err(error) = create_missing(client).await else {
            return Ok(());
        };
        let text = chain(&error);
        if let Err(error) = attempts.retry_after(error).await {
            if !Attempts::lost_a_lock(&error) {
                return Err(error);
            }
            tracing::warn!(
                error = text,
                "audit partitions of the next months are missing, run postern migrate again"
            );
            return Ok(());
        }
    }
}

async fn create_missing(client: &Client) -> Result<(), SetupError> {
    let Some(end) = end_of_partitions(client).await? else {
        return Ok(());
    };
    if let Some(last) = convert_default(client, end).await? {
        return create_months(client, last).await;
    }
    create_months(client, end).await
}

/// End of the last partition, exclusive; none if only the default one is left.
async fn end_of_partitions(client: &Client) -> Result<Option<i64>, SetupError> {
    let read = format!("SELECT max(before) AS before FROM ({PARTITIONS}) AS partitions");
    one(client, &read, |row| row.try_get("before")).await
}

/// Creates a partition for each month from `end`, at which a month begins, to the last one ahead.
async fn create_months(client: &Client, end: i64) -> Result<(), SetupError> {
    let months = format!(
        "SELECT to_char(month, 'YYYY_MM') AS month, {} AS first, {} AS next FROM generate_series( \
         timestamp 'epoch' + {end} * interval '1 millisecond', \
         date_trunc('month', now() AT TIME ZONE 'UTC') + interval '{MONTHS_AHEAD} months', interval '1 month') AS month",
        millis("month"),
        millis("month + interval '1 month'"),
    );
    for row in query(client, &months).await? {
        let month = |row: &Row| Ok::<_, Error>((row.try_get("month")?, row.try_get("first")?, row.try_get("next")?));
        let (month, first, next): (String, i64, i64) = month(&row).map_err(failed)?;
        let name = format!("audit_{month}");
        let attach = format!("ALTER TABLE audit ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({next})");
        execute(client, &format!("{}; {attach}", new_table(&name))).await?;
    }
    Ok(())
}

/// Makes the default partition one of the times from `end`, if it has rows of that time, and creates a new default one. Returns the end of
/// it: the begin of the month after the next one.
async fn convert_default(client: &Client, end: i64) -> Result<Option<i64>, SetupError> {
    let read = format!(
        "SELECT min(at) AS first, max(at) AS last, {} AS next, to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM_DD') AS today FROM audit_default",
        millis("date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months'")
    );
    let (first, last, next, today): (Option<i64>, Option<i64>, i64, String) = one(client, &read, |row| {
        Ok((
            row.try_get("first")?,
            row.try_get("last")?,
            row.try_get("next")?,
            row.try_get("today")?,
        ))
    })
    .await?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(None);
    };
    if last < end {
        return Ok(None);
    }
    if first < end || last >= next {
        tracing::warn!(
            first,
            last,
            "audit rows of an unexpected time stay in the default partition"
        );
        return Ok(None);
    }
    // The bound is validated before, so that no command waits while the rows are read.
    let bound = "ALTER TABLE audit_default DROP CONSTRAINT IF EXISTS audit_default_bound";
    let add = format!(
        "{bound}; ALTER TABLE audit_default ADD CONSTRAINT audit_default_bound CHECK (at >= {end} AND at < {next}) NOT VALID"
    );
    execute(client, &add).await?;
    execute(
        client,
        "ALTER TABLE audit_default VALIDATE CONSTRAINT audit_default_bound",
    )
    .await?;
    let name = format!("audit_until_{today}");
    let convert = format!(
        "ALTER TABLE audit DETACH PARTITION audit_default; ALTER TABLE audit_default RENAME TO {name}; \
         ALTER TABLE audit ATTACH PARTITION {name} FOR VALUES FROM ({end}) TO ({next}); \
         ALTER TABLE {name} DROP CONSTRAINT audit_default_bound; \
         {}; ALTER TABLE audit ATTACH PARTITION audit_default DEFAULT",
        new_table("audit_default")
    );
    execute(client, &convert).await?;
    Ok(Some(next))
}

/// Statements that create a table for rows of the audit log, which is no partition yet.
fn new_table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (LIKE audit INCLUDING DEFAULTS, PRIMARY KEY (user_id, seq)); \
         CREATE INDEX ON {name} USING brin (at) WITH (autosummarize = on); \
         CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} \
         FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
    )
}

/// Milliseconds since 1970 of an expression, a timestamp of UTC.
fn millis(timestamp: &str) -> String {
    format!("(extract(epoch FROM {timestamp}) * 1000)::bigint")
}

async fn one<T>(client: &Client, sql: &str, read: impl FnOnce(&Row) -> Result<T, Error>) -> Result<T, SetupError> {
    let row = client.query_typed_one(sql, &[]).await;
    row.and_then(|row| read(&row)).map_err(failed)
}

pub(super) async fn query(client: &Client, sql: &str) -> Result<Vec<Row>, SetupError> {
    client.query_typed(sql, &[]).await.map_err(failed)
}

/// Executes statements in one transaction.
pub(super) async fn execute(client: &Client, statements: &str) -> Result<(), SetupError> {
    client.batch_execute(statements).await.map_err(failed)
}

pub(super) fn failed(error: Error) -> SetupError {
    SetupError::Partitions(Box::new(error))
}

/// Query for the partitions: name, and end of their times, exclusive; none for the default one.
pub(super) const PARTITIONS: &str = "SELECT relname::text AS name, \
     substring(pg_get_expr(relpartbound, pg_class.oid) FROM ' TO \\(''?(-?\\d+)')::bigint AS before \
     FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass('audit')";

/// Months after the current one for which partitions are created.
const MONTHS_AHEAD: u32 = 6;
