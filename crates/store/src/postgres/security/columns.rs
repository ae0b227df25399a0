//! Conversion between the row of `security` and its record.

use protocol::id::{SessionId, UserId};
use protocol::security::FactorMethod;
use time::OffsetDateTime;
use tokio_postgres::Row;

use crate::postgres::error::Failure;
use crate::postgres::row::{timestamp, word, written};
use crate::postgres::transaction::Transaction;
use crate::security::{Factor, FactorLock, PendingFactor, RecoveryAttempt, SecurityRecord, SentCode};
use crate::vault::Ciphertext;

/// Reads a user's row.
pub(in crate::postgres) const READ: &str = "SELECT session_timeout, factor_method, factor_secret, last_step, sent_challenges, sent_sessions, \
                               sent_codes, sent_until, failures, last_failed_at, recovery_key, recovery_codes, \
                               recovery_tried_at, recovery_tried_in, pending_method, pending_secret, pending_code, \
                               pending_challenge, pending_session, pending_until, factor_locked_at, factor_locked_until \
                               FROM security WHERE user_id = $1";

/// Record from all columns.
pub(in crate::postgres) fn record(row: &Row) -> Result<SecurityRecord, Failure> {
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
    let recovery_key: Option<Vec<u8>> = row.try_get("recovery_key")?;
    let codes: Vec<&[u8]> = row.try_get("recovery_codes")?;
    Ok(Some(Factor {
        method: method(row, "factor_method")?,
        secret: Ciphertext::from_bytes(secret),
        last_step: row.try_get("last_step")?,
        sent: sent(row)?,
        failures: u32::try_from(failures).map_err(Failure::row)?,
        last_failed: last_failed.map(timestamp),
        recovery_key: recovery_key.map(Ciphertext::from_bytes),
        recovery_codes: codes.into_iter().map(mac).collect::<Result<_, _>>()?,
        recovery_attempts: recovery_attempts(row)?,
        lock: lock(row)?,
    }))
}

fn lock(row: &Row) -> Result<Option<FactorLock>, Failure> {
    let since: Option<OffsetDateTime> = row.try_get("factor_locked_at")?;
    let until: Option<OffsetDateTime> = row.try_get("factor_locked_until")?;
    Ok(since.map(|since| FactorLock {
        since: timestamp(since),
        until: until.map(timestamp),
    }))
}

/// Recovery attempts from two arrays with one element per attempt. An earlier build writes only the first array.
fn recovery_attempts(row: &Row) -> Result<Vec<RecoveryAttempt>, Failure> {
    let times: Vec<OffsetDateTime> = row.try_get("recovery_tried_at")?;
    let sessions: Option<Vec<&str>> = row.try_get("recovery_tried_in")?;
    let sessions = sessions
        .unwrap_or_default()
        .into_iter()
        .chain(std::iter::repeat(UNKNOWN));
    let tried = times.into_iter().zip(sessions);
    tried
        .map(|(at, session)| {
            Ok(RecoveryAttempt {
                at: timestamp(at),
                session: SessionId::new(session).map_err(Failure::row)?,
            })
        })
        .collect()
}

/// Placeholder of an unknown session.
const UNKNOWN: &str = "-";

/// Sent codes from four arrays with one element per code.
fn sent(row: &Row) -> Result<Vec<SentCode>, Failure> {
    let challenges: Vec<String> = row.try_get("sent_challenges")?;
    let sessions: Vec<&str> = row.try_get("sent_sessions")?;
    let codes: Vec<Option<&[u8]>> = row.try_get("sent_codes")?;
    let until: Vec<OffsetDateTime> = row.try_get("sent_until")?;
    let sent = challenges.into_iter().zip(sessions).zip(codes).zip(until);
    sent.map(|(((challenge, session), code), until)| {
        Ok(SentCode {
            challenge,
            session: SessionId::new(session).map_err(Failure::row)?,
            code: code.map(mac).transpose()?,
            until: timestamp(until),
        })
    })
    .collect()
}

fn pending(row: &Row) -> Result<Option<PendingFactor>, Failure> {
    let Some(secret) = row.try_get("pending_secret")? else {
        return Ok(None);
    };
    let code: Option<&[u8]> = row.try_get("pending_code")?;
    Ok(Some(PendingFactor {
        method: method(row, "pending_method")?,
        secret: Ciphertext::from_bytes(secret),
        code: code.map(mac).transpose()?,
        challenge: row.try_get("pending_challenge")?,
        session: SessionId::new(row.try_get::<_, &str>("pending_session")?).map_err(Failure::row)?,
        until: timestamp(row.try_get("pending_until")?),
    }))
}

fn method(row: &Row, column: &'static str) -> Result<FactorMethod, Failure> {
    word(row, column, |text| {
        FactorMethod::ALL.into_iter().find(|method| method.as_str() == text)
    })
}

fn mac(bytes: &[u8]) -> Result<[u8; 32], Failure> {
    <[u8; 32]>::try_from(bytes).map_err(Failure::row)
}

/// Writes the record, replacing the row.
pub(super) async fn write(tx: &Transaction<'_>, user: &UserId, record: &SecurityRecord) -> Result<(), Failure> {
    let replace = "INSERT INTO security (user_id, session_timeout, factor_method, factor_secret, last_step, sent_challenges, \
             sent_sessions, sent_codes, sent_until, failures, last_failed_at, recovery_key, recovery_codes, \
             recovery_tried_at, pending_method, pending_secret, pending_code, pending_challenge, pending_session, \
             pending_until, recovery_tried_in, factor_locked_at, factor_locked_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) \
             ON CONFLICT (user_id) DO UPDATE SET session_timeout = $2, factor_method = $3, factor_secret = $4, \
             last_step = $5, sent_challenges = $6, sent_sessions = $7, sent_codes = $8, sent_until = $9, failures = $10, \
             last_failed_at = $11, recovery_key = $12, recovery_codes = $13, recovery_tried_at = $14, \
             pending_method = $15, pending_secret = $16, pending_code = $17, pending_challenge = $18, \
             pending_session = $19, pending_until = $20, recovery_tried_in = $21, factor_locked_at = $22, \
             factor_locked_until = $23";
    let minutes = i32::try_from(record.session_timeout).map_err(Failure::row)?;
    let factor = record.factor.as_ref();
    let failures = factor.map(|factor| i32::try_from(factor.failures).unwrap_or(i32::MAX));
    let last_failed = factor.and_then(|factor| factor.last_failed).map(written);
    let recovery_key = factor.and_then(|factor| factor.recovery_key.as_ref());
    let codes = factor.map(|factor| {
        factor
            .recovery_codes
            .iter()
            .map(<[u8; 32]>::as_slice)
            .collect::<Vec<_>>()
    });
    let tried = factor.map(|factor| &factor.recovery_attempts);
    let tried_at = tried.map(|tried| tried.iter().map(|tried| written(tried.at)).collect::<Vec<_>>());
    let tried_in = tried.map(|tried| tried.iter().map(|tried| tried.session.as_str()).collect::<Vec<_>>());
    let lock = factor.and_then(|factor| factor.lock);
    let sent = factor.map(|factor| &factor.sent);
    let sent_challenges = sent.map(|sent| sent.iter().map(|sent| sent.challenge.as_str()).collect::<Vec<_>>());
    let sent_sessions = sent.map(|sent| sent.iter().map(|sent| sent.session.as_str()).collect::<Vec<_>>());
    let sent_codes = sent.map(|sent| {
        let codes = sent.iter().map(|sent| sent.code.as_ref().map(<[u8; 32]>::as_slice));
        codes.collect::<Vec<_>>()
    });
    let sent_until = sent.map(|sent| sent.iter().map(|sent| written(sent.until)).collect::<Vec<_>>());
    let pending = record.pending.as_ref();
    let pending_code = pending.and_then(|pending| pending.code.as_ref());
    tx.execute(
        replace,
        &[
            &user.as_str(),
            &minutes,
            &factor.map(|factor| factor.method.as_str()),
            &factor.map(|factor| factor.secret.as_bytes()),
            &factor.map(|factor| factor.last_step),
            &sent_challenges,
            &sent_sessions,
            &sent_codes,
            &sent_until,
            &failures,
            &last_failed,
            &recovery_key.map(Ciphertext::as_bytes),
            &codes,
            &tried_at,
            &pending.map(|pending| pending.method.as_str()),
            &pending.map(|pending| pending.secret.as_bytes()),
            &pending_code.map(<[u8; 32]>::as_slice),
            &pending.map(|pending| pending.challenge.as_str()),
            &pending.map(|pending| pending.session.as_str()),
            &pending.map(|pending| written(pending.until)),
            &tried_in,
            &lock.map(|lock| written(lock.since)),
            &lock.and_then(|lock| lock.until).map(written),
        ],
    )
    .await?;
    Ok(())
}
