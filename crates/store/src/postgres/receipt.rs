//! Idempotency of jobs within a transaction: a job delivered twice is executed once.

use protocol::id::UserId;
use tokio_postgres::Row;

use super::error::Failure;
use super::locks;
use super::transaction::Transaction;
use crate::answers::Receipt;
use crate::vault::Ciphertext;

/// Result of [`begin`].
pub(super) enum ReceiptCheck {
    /// The job is new, under this access epoch of the user.
    New(i64),
    /// The job or its idempotency key was answered before.
    Repeated(Ciphertext),
}

/// First step in the transaction of a job: locks the user's head row and looks up a previous answer. A session that has ended in
/// the meantime still receives the answer to this very job, which was committed before.
///
/// # Errors
/// [`Failure::SessionEnded`]; the row is locked nevertheless.
pub(super) async fn begin(tx: &Transaction<'_>, user: &UserId, receipt: &Receipt) -> Result<ReceiptCheck, Failure> {
    let locked = match locks::lock_user(tx, user, receipt.actor.session()).await {
        Err(Failure::SessionEnded) => None,
        locked => Some(locked?),
    };
    match (locked, find(tx, receipt).await?) {
        (Some(_), Some((_, answer))) | (None, Some((true, answer))) => Ok(ReceiptCheck::Repeated(answer)),
        (Some(access_epoch), None) => Ok(ReceiptCheck::New(access_epoch)),
        (None, _) => Err(Failure::SessionEnded),
    }
}

/// Previous answer to this job or under its idempotency key.
pub(super) async fn repeated(tx: &Transaction<'_>, receipt: &Receipt) -> Result<Option<Ciphertext>, Failure> {
    Ok(find(tx, receipt).await?.map(|(_, answer)| answer))
}

/// Same as [`repeated`], and whether the answer is to this very job. Another payload under the same key was refused before the
/// work; here it must only not be committed beside the first.
async fn find(tx: &Transaction<'_>, receipt: &Receipt) -> Result<Option<(bool, Ciphertext)>, Failure> {
    let find = "SELECT job_id = $1, answer FROM answers WHERE (job_id = $1 OR scope = $2) AND expires_at > now() \
             ORDER BY job_id = $1 DESC LIMIT 1";
    let scope = receipt.idempotency.as_ref().map(|key| key.scope.as_slice());
    let row = tx.query_opt(find, &[&receipt.job.as_str(), &scope]).await?;
    let found = |row: Row| Ok::<_, Failure>((row.try_get(0)?, Ciphertext::from_bytes(row.try_get(1)?)));
    row.map(found).transpose()
}

/// Stores the answer with the change that it reports. If a concurrent transaction stored one for the same job, this fails as a
/// conflict, and the retry finds that answer.
pub(super) async fn remember(tx: &Transaction<'_>, receipt: &Receipt) -> Result<(), Failure> {
    let job = receipt.job.as_str();
    let (scope, body) = match &receipt.idempotency {
        Some(key) => (Some(key.scope.as_slice()), Some(key.body.as_slice())),
        None => (None, None),
    };
    let clear = "DELETE FROM answers WHERE (job_id = $1 OR scope = $2) AND expires_at <= now()";
    tx.execute(clear, &[&job, &scope]).await?;
    let insert = "INSERT INTO answers (job_id, scope, body, answer, expires_at) \
             VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')";
    let keep = receipt.keep.as_secs_f64();
    tx.execute(insert, &[&job, &scope, &body, &receipt.answer.as_bytes(), &keep])
        .await?;
    Ok(())
}
