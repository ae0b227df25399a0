//! Conversion of rows into the types they were written from.

use std::str::FromStr as _;
use std::time::Duration;

use protocol::account::{AccountStatus, AccountType, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::version::is_newer;
use protocol::id::{AlertId, UserId};
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::error::Failure;
use crate::accounts::Credentials;
use crate::queue::{PlatformCapacity, Task, TaskId};
use crate::syncs::{LeasedSync, SyncLease};
use crate::tokens::{EncryptedTokens, Revocation, RevokeScope};
use crate::vault::Ciphertext;

/// Credentials from all columns of `accounts`.
pub(super) fn credentials(row: &Row) -> Result<Credentials, Failure> {
    Ok(Credentials {
        account: account(row)?,
        tokens: tokens(row)?,
        generation: row.try_get("generation")?,
        cursor: row.try_get("cursor")?,
    })
}

/// Sync lease from a row of `accounts` that was just leased.
pub(super) fn leased_sync(row: &Row) -> Result<LeasedSync, Failure> {
    let failures: i32 = row.try_get("failures")?;
    Ok(LeasedSync {
        lease: SyncLease {
            user: user(row)?,
            account: account_type(row)?,
            fence: row.try_get("fence")?,
        },
        found: credentials(row)?,
        failures: u32::try_from(failures).map_err(Failure::row)?,
        late: seconds(row, "late")?,
    })
}

/// Duration from a column of seconds; zero if it is NULL or negative.
pub(super) fn seconds(row: &Row, column: &str) -> Result<Duration, Failure> {
    let seconds: Option<f64> = row.try_get(column)?;
    Ok(Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or(Duration::ZERO))
}

/// Account from the public columns of `accounts`.
pub(super) fn account(row: &Row) -> Result<UserAccount, Failure> {
    let time = |column| Ok::<_, Failure>(row.try_get::<_, Option<OffsetDateTime>>(column)?.map(timestamp));
    Ok(UserAccount {
        account_type: account_type(row)?,
        platform_user_id: row.try_get("platform_user_id")?,
        username: row.try_get("username")?,
        display_name: row.try_get("display_name")?,
        avatar_url: row.try_get("avatar_url")?,
        status: status(row)?,
        scopes: row.try_get("scopes")?,
        connected_at: timestamp(row.try_get("connected_at")?),
        last_synced: time("last_synced")?,
        error_message: row.try_get("error_message")?,
    })
}

/// Status from the column `status`.
pub(super) fn status(row: &Row) -> Result<AccountStatus, Failure> {
    use AccountStatus::{Connected, Disconnected, Error, Syncing};
    word(row, "status", |text| {
        [Connected, Disconnected, Error, Syncing]
            .into_iter()
            .find(|status| status.as_str() == text)
    })
}

/// Tokens from the token columns of `accounts`, `pending_links` and `tasks`.
pub(super) fn tokens(row: &Row) -> Result<Option<EncryptedTokens>, Failure> {
    let Some(access) = row.try_get::<_, Option<Vec<u8>>>("access_token")? else {
        return Ok(None);
    };
    let expires_at: Option<OffsetDateTime> = row.try_get("token_expires_at")?;
    let refresh: Option<Vec<u8>> = row.try_get("refresh_token")?;
    Ok(Some(EncryptedTokens {
        access: Ciphertext::from_bytes(access),
        refresh: refresh.map(Ciphertext::from_bytes),
        expires_at: expires_at.map(timestamp),
    }))
}

/// Values of the token columns: `access_token`, `refresh_token`, `token_expires_at`.
pub(super) type TokenColumns<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<OffsetDateTime>);

/// Token columns of an account; NULL if its platform issued no tokens.
pub(super) fn token_columns(tokens: Option<&EncryptedTokens>) -> TokenColumns<'_> {
    (
        tokens.map(|tokens| tokens.access.as_bytes()),
        tokens.and_then(|tokens| Some(tokens.refresh.as_ref()?.as_bytes())),
        tokens.and_then(|tokens| tokens.expires_at).map(written),
    )
}

/// Capacities as two arrays: platforms and free permits.
pub(super) fn capacity_columns(capacities: &[PlatformCapacity]) -> (Vec<&'static str>, Vec<i64>) {
    let permits = |capacity: &PlatformCapacity| i64::try_from(capacity.permits).unwrap_or(i64::MAX);
    capacities
        .iter()
        .map(|capacity| (capacity.platform.as_str(), permits(capacity)))
        .unzip()
}

/// Task from a row of `tasks` that was just leased.
pub(super) fn task(row: &Row) -> Result<Task, Failure> {
    let tries: i32 = row.try_get("tries")?;
    Ok(Task {
        id: TaskId {
            row: row.try_get("id")?,
            fence: row.try_get("fence")?,
        },
        // The lease has already counted this try.
        tries: u32::try_from(tries - 1).map_err(Failure::row)?,
        user: user(row)?,
        revocation: Revocation {
            account: account_type(row)?,
            platform_user_id: row.try_get("platform_user_id")?,
            tokens: tokens(row)?.ok_or_else(|| Failure::row(NoToken))?,
            scope: scope(row)?,
        },
    })
}

/// Alert from the public columns of `alerts`.
pub(super) fn alert(row: &Row) -> Result<Alert, Failure> {
    Ok(Alert {
        user_id: user(row)?,
        alert_id: AlertId::new(row.try_get::<_, &str>("alert_id")?).map_err(Failure::row)?,
        severity: word(row, "severity", |text| {
            Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
        })?,
        kind: word(row, "type", |text| {
            AlertType::ALL.into_iter().find(|kind| kind.as_str() == text)
        })?,
        message: row.try_get("message")?,
        timestamp: timestamp(row.try_get("at")?),
        requires_action: row.try_get("requires_action")?,
    })
}

/// Scope from the column `scope` of `tasks`.
pub(super) fn scope(row: &Row) -> Result<RevokeScope, Failure> {
    word(row, "scope", |text| {
        RevokeScope::ALL.into_iter().find(|scope| scope.as_str() == text)
    })
}

/// User from the column `user_id`.
pub(super) fn user(row: &Row) -> Result<UserId, Failure> {
    UserId::new(row.try_get::<_, &str>("user_id")?).map_err(Failure::row)
}

/// Envelope from the column `envelope`; none if it is of a newer version.
pub(super) fn envelope(row: &Row) -> Result<Option<Envelope>, Failure> {
    let text: &str = row.try_get("envelope")?;
    match serde_json::from_str::<Envelope>(text) {
        Ok(envelope) => Ok((envelope.v <= Envelope::VERSION).then_some(envelope)),
        // A newer version may have another shape.
        Err(_) if is_newer(text.as_bytes(), Envelope::VERSION) => Ok(None),
        Err(error) => Err(Failure::row(error)),
    }
}

/// Postgres value of a time. Every [`Timestamp`] is in Postgres's range.
pub(super) fn written(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.as_millis()) * NANOS_PER_MILLI)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Time from its Postgres value.
pub(super) fn timestamp(time: OffsetDateTime) -> Timestamp {
    let millis = time.unix_timestamp_nanos().div_euclid(NANOS_PER_MILLI);
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Platform from the column `account_type`.
pub(super) fn account_type(row: &Row) -> Result<AccountType, Failure> {
    word(row, "account_type", |text| AccountType::from_str(text).ok())
}

/// Value of a column that has one of a few words.
pub(super) fn word<T>(row: &Row, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure> {
    read(row.try_get(column)?).ok_or_else(|| Failure::row(UnknownWord(column)))
}

/// The access token is missing: Postern did not write the row.
#[derive(Debug, thiserror::Error)]
#[error("column access_token is empty")]
struct NoToken;

/// The word is unknown: a newer build, or another program, wrote the row.
#[derive(Debug, thiserror::Error)]
#[error("column {0} has a word that is unknown to this build")]
struct UnknownWord(&'static str);

const NANOS_PER_MILLI: i128 = 1_000_000;
