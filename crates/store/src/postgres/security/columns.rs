//! The row of `security` and the record it stands for.

use deadpool_postgres::Transaction;
use protocol::id::{SessionId, UserId};
use time::OffsetDateTime;
use tokio_postgres::Row;

use crate::postgres::error::Failure;
use crate::postgres::row::{timestamp, written};
use crate::security::{Factor, PendingFactor, SecurityRecord};
use crate::vault::Sealed;

/// A user's row.
pub(super) const READ: &str = "SELECT session_timeout, factor_secret, last_step, failures, last_failed_at, recovery_codes, \
                               recovery_tried_at, pending_secret, pending_challenge, pending_session, pending_until \
                               FROM security WHERE user_id = $1";

/// From all columns.
pub(super) fn record(row: &Row) -> Result<SecurityRecord, Failure> {
    let minutes: i32 = row.try_get("session_timeout")?;
    Ok(SecurityRecord {
        session_timeout: u32::try_from(minutes).map_err(Failure::row)?,
        factor: factor(row)?,
        pending: pending(row)?,
    })
}

fn factor(row: &Row) -> Result<Option<Factor>, Failure> {
    let Some(secret) = row.try_get("factor_secret")? else {
        return Ok(None);
    };
    let failures: i32 = row.try_get("failures")?;
    let last_failed: Option<OffsetDateTime> = row.try_get("last_failed_at")?;
    let codes: Vec<&[u8]> = row.try_get("recovery_codes")?;
    let tried: Vec<OffsetDateTime> = row.try_get("recovery_tried_at")?;
    Ok(Some(Factor {
        secret: Sealed::from_bytes(secret),
        last_step: row.try_get("last_step")?,
        failures: u32::try_from(failures).map_err(Failure::row)?,
        last_failed: last_failed.map(timestamp),
        recovery_codes: codes
            .into_iter()
            .map(<[u8; 32]>::try_from)
            .collect::<Result<_, _>>()
            .map_err(Failure::row)?,
        recovery_tried: tried.into_iter().map(timestamp).collect(),
    }))
}

fn pending(row: &Row) -> Result<Option<PendingFactor>, Failure> {
    let Some(secret) = row.try_get("pending_secret")? else {
        return Ok(None);
    };
    Ok(Some(PendingFactor {
        secret: Sealed::from_bytes(secret),
        challenge: row.try_get("pending_challenge")?,
        session: SessionId::new(row.try_get::<_, &str>("pending_session")?).map_err(Failure::row)?,
        until: timestamp(row.try_get("pending_until")?),
    }))
}

/// Writes the record in place of what is there.
pub(super) async fn write(tx: &Transaction<'_>, user: &UserId, record: &SecurityRecord) -> Result<(), Failure> {
    let replace = tx
        .prepare_cached(
            "INSERT INTO security (user_id, session_timeout, factor_secret, last_step, failures, last_failed_at, \
             recovery_codes, recovery_tried_at, pending_secret, pending_challenge, pending_session, pending_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (user_id) DO UPDATE SET session_timeout = $2, factor_secret = $3, last_step = $4, \
             failures = $5, last_failed_at = $6, recovery_codes = $7, recovery_tried_at = $8, pending_secret = $9, \
             pending_challenge = $10, pending_session = $11, pending_until = $12",
        )
        .await?;
    let minutes = i32::try_from(record.session_timeout).map_err(Failure::row)?;
    let factor = record.factor.as_ref();
    let failures = factor.map(|factor| i32::try_from(factor.failures).unwrap_or(i32::MAX));
    let last_failed = factor.and_then(|factor| factor.last_failed).map(written);
    let codes = factor.map(|factor| {
        factor
            .recovery_codes
            .iter()
            .map(<[u8; 32]>::as_slice)
            .collect::<Vec<_>>()
    });
    let tried = factor.map(|factor| factor.recovery_tried.iter().copied().map(written).collect::<Vec<_>>());
    let pending = record.pending.as_ref();
    tx.execute(
        &replace,
        &[
            &user.as_str(),
            &minutes,
            &factor.map(|factor| factor.secret.as_bytes()),
            &factor.map(|factor| factor.last_step),
            &failures,
            &last_failed,
            &codes,
            &tried,
            &pending.map(|pending| pending.secret.as_bytes()),
            &pending.map(|pending| pending.challenge.as_str()),
            &pending.map(|pending| pending.session.as_str()),
            &pending.map(|pending| written(pending.until)),
        ],
    )
    .await?;
    Ok(())
}
