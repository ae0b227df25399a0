//! The part of a transaction that makes a job delivered twice be done once.

use protocol::id::UserId;
use tokio_postgres::Row;

use super::error::Failure;
use super::head;
use super::transaction::Transaction;
use crate::answers::Receipt;
use crate::vault::Ciphertext;

/// How the transaction of a job begins.
pub(super) enum Begun {
    /// There is something to do, under this access epoch of the user.
    Committed(i64),
    /// It was answered before, or its idempotency key was.
    Repeated(Ciphertext),
}

/// First in the transaction of a job: locks the user's head row, and looks for an earlier answer. A session that has ended meanwhile
/// still has the answer to this very job: it was committed before.
///
/// # Errors
/// [`Failure::SessionEnded`]; the row is locked all the same.
pub(super) async fn begin(tx: &Transaction<'_>, user: &UserId, receipt: &Receipt) -> Result<Begun, Failure> {
    let locked = match head::lock_user(tx, user, receipt.actor.session()).await {
        Err(Failure::SessionEnded) => None,
        locked => Some(locked?),
    };
    match (locked, find(tx, receipt).await?) {
        (Some(_), Some((_, answer))) | (None, Some((true, answer))) => Ok(Begun::Repeated(answer)),
        (Some(access_epoch), None) => Ok(Begun::Committed(access_epoch)),
        (None, _) => Err(Failure::SessionEnded),
    }
}

/// What was answered before to this job, or under its idempotency key.
pub(super) async fn repeated(tx: &Transaction<'_>, receipt: &Receipt) -> Result<Option<Ciphertext>, Failure> {
    Ok(find(tx, receipt).await?.map(|(_, answer)| answer))
}

/// The same, and whether it was this very job. Another body under the same key was refused before the work began; here it only must not
/// be committed beside the first.
async fn find(tx: &Transaction<'_>, receipt: &Receipt) -> Result<Option<(bool, Ciphertext)>, Failure> {
    let find = "SELECT job_id = $1, answer FROM answers WHERE (job_id = $1 OR scope = $2) AND expires_at > now() \
             ORDER BY job_id = $1 DESC LIMIT 1";
    let scope = receipt.idempotency.as_ref().map(|key| key.scope.as_slice());
    let row = tx.query_opt(find, &[&receipt.job.as_str(), &scope]).await?;
    let found = |row: Row| Ok::<_, Failure>((row.try_get(0)?, Ciphertext::from_bytes(row.try_get(1)?)));
    row.map(found).transpose()
}

/// Writes the answer beside the change it tells of. A transaction that wrote one for the same job meanwhile makes this fail
/// as a conflict, and the second attempt finds what it wrote.
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
