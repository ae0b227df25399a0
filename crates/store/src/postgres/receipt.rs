//! The part of a transaction that makes a job delivered twice be done once.

use deadpool_postgres::Transaction;

use super::error::Failure;
use crate::answers::Receipt;
use crate::vault::Sealed;

/// What was answered before to this job, or under its idempotency key. Another body under the same key was refused before the
/// work began; here it only must not be committed beside the first.
pub(super) async fn repeated(tx: &Transaction<'_>, receipt: &Receipt) -> Result<Option<Sealed>, Failure> {
    let find = tx
        .prepare_cached(
            "SELECT answer FROM answers WHERE (job_id = $1 OR scope = $2) AND expires_at > now() \
             ORDER BY job_id = $1 DESC LIMIT 1",
        )
        .await?;
    let scope = receipt.idempotency.as_ref().map(|key| key.scope.as_slice());
    let row = tx.query_opt(&find, &[&receipt.job.as_str(), &scope]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.map(Sealed::from_bytes))
}

/// Writes the answer beside the change it tells of. A transaction that wrote one for the same job meanwhile makes this fail
/// as a conflict, and the second attempt finds what it wrote.
pub(super) async fn remember(tx: &Transaction<'_>, receipt: &Receipt) -> Result<(), Failure> {
    let job = receipt.job.as_str();
    let (scope, body) = match &receipt.idempotency {
        Some(key) => (Some(key.scope.as_slice()), Some(key.body.as_slice())),
        None => (None, None),
    };
    let clear = tx
        .prepare_cached("DELETE FROM answers WHERE (job_id = $1 OR scope = $2) AND expires_at <= now()")
        .await?;
    tx.execute(&clear, &[&job, &scope]).await?;
    let insert = tx
        .prepare_cached(
            "INSERT INTO answers (job_id, scope, body, answer, expires_at) \
             VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')",
        )
        .await?;
    let keep = receipt.keep.as_secs_f64();
    tx.execute(&insert, &[&job, &scope, &body, &receipt.answer.as_bytes(), &keep])
        .await?;
    Ok(())
}
